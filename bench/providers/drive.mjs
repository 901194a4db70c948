// Runs inside one provider's package, as drive.py does: `node drive.mjs NAME`, tasks as JSON lines in, answers out.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import https from "node:https";
import { EventEmitter } from "node:events";

const require = createRequire(import.meta.url);
const JSON_TYPE = { "content-type": "application/json" };
const text = (task) => task.body.toString("utf8");

function fields(body) {
  const found = {};
  for (const [name, value] of new URLSearchParams(body)) {
    found[name] = name in found ? [].concat(found[name], value) : value;
  }
  return found;
}

function standard(webhook, task, prefix) {
  let signature = webhook.sign("msg_1", new Date(task.now * 1000), text(task));
  if (task.how === "several") signature = `v1,${Buffer.alloc(32).toString("base64")} v1a,bm9uZQ== ${signature}`;
  return {
    headers: {
      ...JSON_TYPE,
      [`${prefix}-id`]: "msg_1",
      [`${prefix}-timestamp`]: String(task.now),
      [`${prefix}-signature`]: signature,
    },
  };
}

const sign = {
  twilio(task) {
    const { getExpectedBodyHash, getExpectedTwilioSignature } = require("twilio/lib/webhooks/webhooks");
    if (task.how.includes("json")) {
      const query = `bodySHA256=${getExpectedBodyHash(text(task))}`;
      const signature = getExpectedTwilioSignature(task.secret, `${task.url}?${query}`, {});
      return { headers: { ...JSON_TYPE, "X-Twilio-Signature": signature }, query };
    }
    const signature = getExpectedTwilioSignature(task.secret, task.url, fields(text(task)));
    return { headers: { "content-type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature } };
  },
  async svix(task) {
    const { Webhook } = await import("svix");
    return standard(new Webhook(task.secret), task, task.how === "unbranded" ? "webhook" : "svix");
  },
  async standardwebhooks(task) {
    const { Webhook } = await import("standardwebhooks");
    return standard(new Webhook(task.secret), task, "webhook");
  },
  async stripe(task) {
    const { default: Stripe } = await import("stripe");
    const header = new Stripe("sk_test_1").webhooks.generateTestHeaderString({
      payload: text(task),
      secret: task.secret,
      timestamp: task.now,
    });
    const [first, ...rest] = header.split(",");
    const several = task.how === "several" ? [`v1=${"0".repeat(64)}`, `v0=${"1".repeat(64)}`] : [];
    return { headers: { ...JSON_TYPE, "Stripe-Signature": [first, ...several, ...rest].join(",") } };
  },
  "@hubspot/api-client"(task) {
    const { Signature } = require("@hubspot/api-client");
    const [version] = task.how.split(" ");
    const timestamp = task.now * 1000;
    const signature = Signature.getSignature("POST", version, {
      clientSecret: task.secret,
      requestBody: text(task),
      url: task.url,
      timestamp,
    });
    const proof =
      version === "v3"
        ? { "X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": String(timestamp) }
        : { "X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": version };
    return { headers: { ...JSON_TYPE, ...proof } };
  },
  cloudevents(task) {
    const { CloudEvent, HTTP } = require("cloudevents");
    const made = (number) =>
      new CloudEvent({
        id: `n-${task.now}-${number}`,
        source: "/desk",
        type: "note.added",
        subject: "7",
        time: new Date(task.now * 1000).toISOString(),
        comexample: "own",
        datacontenttype: task.how.includes("bytes") ? "application/octet-stream" : "application/json",
        ...(task.how.includes("without")
          ? {}
          : { data: task.how.includes("bytes") ? new Uint8Array(task.body) : JSON.parse(text(task)) }),
      });
    const authorization = `Bearer ${task.secret}`;
    if (task.how.includes("batch")) {
      const body = JSON.stringify([made(1).toJSON(), made(2).toJSON()]);
      const headers = { "content-type": "application/cloudevents-batch+json; charset=utf-8", authorization };
      return { headers, body: Buffer.from(body).toString("base64") };
    }
    const message = (task.how.includes("binary") ? HTTP.binary : HTTP.structured)(made(0));
    const body = message.body === undefined ? "" : message.body;
    return {
      headers: { ...message.headers, authorization },
      body: Buffer.from(body).toString("base64"),
    };
  },
  async "@octokit/webhooks-methods"(task) {
    const methods = await import("@octokit/webhooks-methods");
    const signature = await methods.sign(task.secret, text(task));
    return { headers: { ...JSON_TYPE, "X-Hub-Signature-256": signature, "X-GitHub-Event": "issue_comment" } };
  },
};

const verify = {
  "@slack/bolt"(task) {
    const { isValidSlackRequest } = require("@slack/bolt/dist/receivers/verify-request");
    return isValidSlackRequest({
      signingSecret: task.secret,
      body: text(task),
      headers: {
        "x-slack-signature": task.headers["x-slack-signature"],
        "x-slack-request-timestamp": Number(task.headers["x-slack-request-timestamp"]),
      },
    });
  },
  twilio(task) {
    const twilio = require("twilio");
    return twilio.validateRequest(task.secret, task.headers["x-twilio-signature"] ?? "", task.url, fields(text(task)));
  },
  async svix(task) {
    const { Webhook } = await import("svix");
    new Webhook(task.secret).verify(text(task), task.headers);
    return true;
  },
  async standardwebhooks(task) {
    const { Webhook } = await import("standardwebhooks");
    new Webhook(task.secret).verify(text(task), task.headers);
    return true;
  },
  async stripe(task) {
    const { default: Stripe } = await import("stripe");
    const { signature } = new Stripe("sk_test_1").webhooks;
    return signature.verifyHeader(text(task), task.headers["stripe-signature"], task.secret, 300);
  },
  "@hubspot/api-client"(task) {
    const { Signature } = require("@hubspot/api-client");
    const newest = task.headers["x-hubspot-signature-v3"];
    return Signature.isValid({
      method: "POST",
      signatureVersion: newest ? "v3" : task.headers["x-hubspot-signature-version"],
      signature: newest ?? task.headers["x-hubspot-signature"],
      clientSecret: task.secret,
      requestBody: text(task),
      url: task.url,
      timestamp: Number(task.headers["x-hubspot-request-timestamp"]),
    });
  },
  cloudevents(task) {
    const { HTTP } = require("cloudevents");
    const event = HTTP.toEvent({ headers: task.headers, body: text(task) });
    return [].concat(event).every((one) => one.validate());
  },
  "@sendgrid/eventwebhook"(task) {
    const { EventWebhook } = require("@sendgrid/eventwebhook");
    const checker = new EventWebhook();
    const key = checker.convertPublicKeyToECDSA(task.public_key);
    const signature = task.headers["x-twilio-email-event-webhook-signature"];
    return checker.verifySignature(key, text(task), signature, task.headers["x-twilio-email-event-webhook-timestamp"]);
  },
  async resend(task) {
    const { Resend } = await import("resend");
    const [id, timestamp, signature] = ["id", "timestamp", "signature"].map((name) => task.headers[`svix-${name}`]);
    new Resend("re_1").webhooks.verify({
      payload: text(task),
      headers: { id, timestamp, signature },
      webhookSecret: task.secret,
    });
    return true;
  },
  async "@octokit/webhooks-methods"(task) {
    const methods = await import("@octokit/webhooks-methods");
    return methods.verify(task.secret, text(task), task.headers["x-hub-signature-256"]);
  },
  "sns-validator"(task) {
    // Amazon's host is not there: the certificate that it would give is.
    https.get = (url, given) => {
      const answer = new EventEmitter();
      answer.statusCode = 200;
      given(answer);
      setImmediate(() => answer.emit("data", task.certificate) && answer.emit("end"));
      return new EventEmitter();
    };
    // It remembers certificates by their address.
    delete require.cache[require.resolve("sns-validator")];
    const Validator = require("sns-validator");
    return new Promise((resolve, reject) =>
      new Validator().validate(text(task), (error) => (error ? reject(error) : resolve(true))),
    );
  },
  async "@linear/sdk"(task) {
    const { LinearWebhookClient } = await import("@linear/sdk/webhooks");
    const sent = JSON.parse(text(task)).webhookTimestamp;
    return new LinearWebhookClient(task.secret).verify(task.body, task.headers["linear-signature"], sent);
  },
  "@team-plain/typescript-sdk"(task) {
    const { verifyPlainWebhook, PlainWebhookSignatureVerificationError } = require("@team-plain/typescript-sdk");
    const { error } = verifyPlainWebhook(text(task), task.headers["plain-request-signature"], task.secret);
    // It also holds the body against a schema of its own version; what counts here is who sent it.
    return !(error instanceof PlainWebhookSignatureVerificationError);
  },
  async "fathom-typescript"(task) {
    const { Fathom } = await import("fathom-typescript");
    Fathom.verifyWebhook(task.secret, task.headers, text(task));
    return true;
  },
  "crisp-api"(task) {
    const { Crisp } = require("crisp-api");
    const sent = Number(task.headers["x-crisp-request-timestamp"]);
    return new Crisp().verifyWidget(task.secret, JSON.parse(text(task)), sent, task.headers["x-crisp-signature"]);
  },
  async "@zoom/rivet"(task) {
    const { HttpReceiver } = require("@zoom/rivet/meetings");
    const receiver = new HttpReceiver({ endpoints: ["/"], webhooksSecretToken: task.secret, port: 0 });
    receiver.init({ eventEmitter: { emit: async () => {} } });
    const server = await receiver.start(0);
    try {
      const { host, "content-length": length, connection, ...headers } = task.headers;
      const url = `http://127.0.0.1:${server.address().port}/`;
      return (await fetch(url, { method: "POST", headers, body: task.body })).ok;
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },
};

const name = process.argv[2];
for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  task.body = Buffer.from(task.body, "base64");
  let answer;
  try {
    const found = await { sign, verify }[task.do][name](task);
    answer = typeof found === "boolean" ? { ok: found } : found;
  } catch (error) {
    answer = { ok: false, why: `${error?.name}: ${error?.message}`.slice(0, 200) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
process.exit(0);
