// Node's own http server: without a word there is no Content-Type at all.
const http = require("http");

const label = (one) => (one.tenure < 12 ? "churn" : "stay");

http
  .createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      if (request.method === "GET") return response.end("ok");
      const { customers } = JSON.parse(body);
      if (request.url === "/score") return response.end(JSON.stringify({ score: customers.map((one) => one.tenure * 0.5) }));
      response.end(JSON.stringify({ predictions: customers.map(label) }));
    });
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
