// A client of server.js. It shows its certificate and loads renewed files at once.
const fs = require("node:fs");
const https = require("node:https");
const path = require("node:path");

const FILES = process.env.FILES || "/var/run/mtls";
const [host, port] = (process.env.SERVER || "nodejs-server.shop.svc:8443").split(":");
const servername = process.env.SERVER_NAME || host;
const requests = Number(process.env.REQUESTS || 1) || Infinity;

// kubelet moves the link ..data, which changes all files at once.
function load() {
  try {
    const folder = fs.realpathSync(path.join(FILES, "..data"));
    const read = (file) => fs.readFileSync(path.join(folder, file));
    return { cert: read("tls.crt"), key: read("tls.key"), ca: read("ca.crt"), minVersion: "TLSv1.2" };
  } catch (error) {
    if (error.code === "ENOENT") return load(); // it moved it just now
    throw error;
  }
}

// One request on a connection of its own, with the current files. servername is sent, and must be in the
// server's certificate.
const ask = () =>
  new Promise((resolve, reject) => {
    const request = https.get({ host, port, servername, headers: { host: servername }, agent: false, timeout: 10000, ...load() });
    request.on("error", reject);
    request.on("response", async (response) => {
      let body = "";
      for await (const part of response) body += part;
      response.statusCode === 200 ? resolve(body.trim()) : reject(new Error(body.trim()));
    });
  });

(async () => {
  for (let done = 0; done < requests; done++) {
    try {
      console.log("ok", await ask());
    } catch (error) {
      process.exitCode = 1;
      console.log("failed", error.code || "", error.message);
    }
  }
})();
