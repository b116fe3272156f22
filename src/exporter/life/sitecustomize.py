"""Tells Modelship's exporter what Python's garbage collector does, without a change of the model.

Python imports a module of this name at its start. Each process writes one small file every five seconds into the
directory named by MODELSHIP_PYTHON_METRICS, and none if it ends before. It must never break or slow the model: every
error ends it in silence, it needs nothing but the interpreter's own modules (Python 3.8 and later), and another
sitecustomize, which it hides, is run as if this one were not there.
"""


def _modelship():
    import os
    import sys

    directory = os.environ.get("MODELSHIP_PYTHON_METRICS")
    if not directory:
        return
    # Not `threading`: what counts its threads, or patches it later, shall not find ours.
    import _thread
    import atexit
    import gc
    import time

    interval = 5.0
    state = {}

    def started():
        # With the process id this names a process for ever.
        with open("/proc/self/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode("ascii")

    def own_file():
        return "python-%d-%s.prom" % (os.getpid(), started())

    def page():
        stats = gc.get_stats()
        lines = []
        for name, key, text in (
            ("python_gc_objects_collected_total", "collected", "Objects collected during gc, of all Python processes."),
            ("python_gc_objects_uncollectable_total", "uncollectable", "Uncollectable objects found during gc."),
            ("python_gc_collections_total", "collections", "Number of times this generation was collected."),
        ):
            lines.append("# HELP %s %s" % (name, text))
            lines.append("# TYPE %s counter" % name)
            for generation, stat in enumerate(stats):
                lines.append('%s{generation="%d"} %d' % (name, generation, stat[key]))
        kind = {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, sys.implementation.name)
        version = sys.version_info[:3]
        lines.append("# HELP python_info Python platform information.")
        lines.append("# TYPE python_info gauge")
        lines.append(
            'python_info{implementation="%s",major="%d",minor="%d",patchlevel="%d",version="%d.%d.%d"} 1'
            % ((kind,) + version + version)
        )
        return ("\n".join(lines) + "\n").encode("ascii")

    def write():
        name = own_file()
        path = os.path.join(directory, name)
        draft = os.path.join(directory, "." + name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        file = os.open(draft, flags, 0o644)
        try:
            # Whatever the umask is: the exporter is another user.
            os.fchmod(file, 0o644)
            os.write(file, page())
        finally:
            os.close(file)
        os.replace(draft, path)

    def sweep():
        # What was killed could not remove its file.
        for name in os.listdir(directory):
            part = name.lstrip(".").split("-")
            if part[0] == "python" and len(part) == 3 and part[1].isdigit():
                if not os.path.exists("/proc/" + part[1]):
                    os.unlink(os.path.join(directory, name))

    def run(wake, told):
        told.append(_thread.get_native_id())
        try:
            first = True
            while not wake.acquire(True, interval):
                write()
                if first:
                    first = False
                    sweep()
        except BaseException:
            pass

    def start():
        try:
            state["wake"] = wake = _thread.allocate_lock()
            state["told"] = told = []
            wake.acquire()
            _thread.start_new_thread(run, (wake, told))
        except BaseException:
            state.clear()

    def stop():
        # A process with a second thread is told off when it forks, so there is none meanwhile.
        try:
            wake, told = state.pop("wake", None), state.pop("told", None)
            if wake is None:
                return
            wake.release()
            deadline = time.monotonic() + 0.2
            while time.monotonic() < deadline:
                if told and not os.path.exists("/proc/self/task/%d" % told[0]):
                    break
                time.sleep(0.0001)
        except BaseException:
            pass

    def remove():
        # Or the thread might write it once more.
        stop()
        try:
            os.unlink(os.path.join(directory, own_file()))
        except BaseException:
            pass

    os.register_at_fork(before=stop, after_in_parent=start, after_in_child=start)
    atexit.register(remove)
    start()


try:
    _modelship()
except BaseException:
    pass
del _modelship


def _next():
    """The sitecustomize that would have been found without this one, if there is one."""
    import os
    import sys
    from importlib.machinery import PathFinder

    here = os.path.realpath(os.path.dirname(__file__))
    path = [entry for entry in sys.path if os.path.realpath(entry or os.curdir) != here]
    return PathFinder.find_spec("sitecustomize", path)


try:
    _spec = _next()
except BaseException:
    _spec = None
del _next

if _spec is not None and _spec.loader is not None:
    import sys as _sys
    from importlib.util import module_from_spec as _module

    _sys.modules["sitecustomize"] = _module(_spec)
    # Its errors are its own: Python tells of them as it would without this file.
    _spec.loader.exec_module(_sys.modules["sitecustomize"])
