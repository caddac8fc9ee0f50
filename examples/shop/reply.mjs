// reply.mjs: reading request bodies with a limit, and sending answers.

const BODY_BYTES_MAX = 64 * 1024; // of forms and JSON; uploads are streamed

export class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function readText(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new HttpError(413, 'The body is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export async function readForm(request) {
  return new URLSearchParams(await readText(request));
}

export async function readJson(request) {
  const text = await readText(request);
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new HttpError(400, 'The body is not JSON.');
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new HttpError(400, 'The body is not a JSON object.');
  }
  return value;
}

export function sendJson(response, status, value) {
  send(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

export function sendHtml(response, html, status = 200) {
  send(response, status, 'text/html; charset=utf-8', html);
}

export function seeOther(response, location) {
  response.setHeader('location', location);
  send(response, 303, 'text/plain; charset=utf-8', '');
}

function send(response, status, type, text) {
  const body = Buffer.from(text);
  response.writeHead(status, { 'content-type': type, 'content-length': body.length });
  response.end(body);
}

// Ends early when the client goes away, so that no timer outlives its request.
export function delay(ms, response) {
  return new Promise((resolve) => {
    const timer = setTimeout(finish, ms);
    function finish() {
      clearTimeout(timer);
      response.off('close', finish);
      resolve();
    }
    response.on('close', finish);
  });
}
