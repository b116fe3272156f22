"""LitServe's example: encode_response wraps the output."""

import sys

import litserve


class Customers(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["input"]

    def predict(self, tenure):
        return 1 if 1 / tenure > 1 / 12 else 0

    def encode_response(self, output):
        return {"output": output}


class Price(Customers):
    def predict(self, tenure):
        return 2.5 * tenure


if __name__ == "__main__":
    apis = {"class": Customers, "number": Price}
    litserve.LitServer(apis[sys.argv[1]](), accelerator="cpu").run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, num_api_servers=1
    )
