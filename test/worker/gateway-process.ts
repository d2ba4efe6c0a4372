import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/* A gateway outside: says back what it got, in every dress it can think of. Arguments: certificate and key, or none. */
const [certFile, keyFile] = process.argv.slice(2);

const echo: RequestListener = (request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts).toString();
    const digits = body.replace(/\D/g, '');
    const answer = {
      id: 'ch_17',
      body,
      base64: Buffer.from(body).toString('base64'),
      hex: Buffer.from(body).toString('hex'),
      spaced: digits.replace(/(.{4})/g, '$1 '),
      percent: [...digits].map((d) => `%3${d}`).join(''),
      list: [...digits],
    };
    response.setHeader('x-echo', encodeURIComponent(body));
    response.setHeader('x-signature', request.headers['x-signature'] ?? '');
    response.end(JSON.stringify(answer));
    // What arrived in clear, so that the test knows the fields were filled.
    process.send?.({ received: body, signature: request.headers['x-signature'] });
  });
};

const server =
  certFile === undefined || keyFile === undefined
    ? createServer(echo)
    : createTlsServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, echo);
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit());
