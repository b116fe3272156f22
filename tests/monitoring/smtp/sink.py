"""A mail server that delivers nothing: every mail becomes a JSON file.

One port takes mail from anybody. The other, as those of real providers do, wants STARTTLS and then a user and a password; a
third one, where it is asked for, speaks TLS from the first byte and wants the same.
"""

import argparse
import asyncio
import datetime
import email
import email.policy
import itertools
import json
import os
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Server(SMTP):
    """Asks as common providers do: Alertmanager understands no other words of LOGIN."""

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"


class Mails:
    """Writes what arrives as 0001.json, 0002.json, …, each there only once it is whole."""

    def __init__(self, folder):
        self.folder = folder
        numbers = [int(file.stem) for file in folder.glob("[0-9]*.json")]
        self.numbers = itertools.count(max(numbers, default=0) + 1)

    async def handle_DATA(self, server, session, envelope):
        name = f"{next(self.numbers):04}.json"
        unfinished = self.folder / f".{name}"
        unfinished.write_text(json.dumps(describe(server, session, envelope), indent=1, ensure_ascii=False), encoding="utf-8")
        unfinished.replace(self.folder / name)
        return "250 Kept"


def describe(server, session, envelope):
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    login = session.auth_data
    return {
        "received": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds"),
        "peer": session.peer[0],
        "tls": server.transport.get_extra_info("sslcontext") is not None,
        "user": login.login.decode() if session.authenticated and login else None,
        "from": envelope.mail_from,
        "to": envelope.rcpt_tos,
        "subject": message["subject"],
        "headers": {name: str(value) for name, value in message.items()},
        "text": body(message, "plain"),
        "html": body(message, "html"),
    }


def body(message, kind):
    part = message.get_body(preferencelist=(kind,))
    return part.get_content().replace("\r\n", "\n") if part else None


def only(user, password):
    """Lets that user in and nobody else."""

    def authenticate(server, session, envelope, mechanism, given):
        wanted = LoginPassword(user.encode(), password.encode())
        if isinstance(given, LoginPassword) and given == wanted:
            return AuthResult(success=True, auth_data=given)
        return AuthResult(success=False, handled=False)

    return authenticate


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=pathlib.Path, required=True, help="folder for the mails")
    parser.add_argument("--open", type=address, required=True, metavar="HOST:PORT", help="takes mail from anybody")
    parser.add_argument("--guarded", type=address, required=True, metavar="HOST:PORT", help="wants STARTTLS and a login")
    parser.add_argument("--tls", type=address, metavar="HOST:PORT", help="speaks TLS at once and wants a login")
    parser.add_argument("--user", required=True, metavar="USER:PASSWORD", help="who may use the guarded port")
    parser.add_argument("--certificate", required=True, help="PEM")
    parser.add_argument("--key", required=True, help="PEM")
    return parser.parse_args()


async def main():
    wanted = parse()
    os.umask(0o077)
    wanted.mails.mkdir(parents=True, exist_ok=True)
    mails = Mails(wanted.mails)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(wanted.certificate, wanted.key)
    user, password = wanted.user.split(":", 1)
    # With no name given it would look its own up, and there may be no DNS.
    loop = asyncio.get_running_loop()
    common = {"hostname": "sink.example.test", "loop": loop}
    guarded = {"auth_required": True, "authenticator": only(user, password), **common}
    servers = [
        await loop.create_server(lambda: Server(mails, **common), *wanted.open),
        await loop.create_server(
            lambda: Server(mails, tls_context=tls, require_starttls=True, **guarded), *wanted.guarded
        ),
    ]
    if wanted.tls:
        # It knows of STARTTLS alone, and would not let anybody log in before.
        servers.append(
            await loop.create_server(lambda: Server(mails, auth_require_tls=False, **guarded), *wanted.tls, ssl=tls)
        )
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
