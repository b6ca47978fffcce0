import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { connect, type TLSSocket } from 'node:tls';
import { fingerprintOf } from '../api/tls-identity.ts';
import { NodeError } from '../errors.ts';

const CONNECT_MS = 10_000;

export interface PinnedRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | ReadableStream;
}

/**
 * `fetch` from a node whose certificate is known to the byte: the one in its data folder. Who issued it and for which name
 * does not matter then, and nothing is sent, no token either, before it was seen. Throws NodeError `not-running` for
 * another certificate.
 */
export async function pinnedFetch(
  url: URL,
  certificate: string,
  { method, headers, body }: PinnedRequest,
): Promise<Response> {
  const socket = await connectPinned(url, certificate);
  const sent = request(url.href.replace(/^https/, 'http'), {
    method,
    headers: { ...headers, connection: 'close' },
    createConnection: () => socket,
  });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  if (body instanceof globalThis.ReadableStream) {
    // An answer may come before the body has ended; then the answer is what counts.
    pipeline(Readable.fromWeb(body as ReadableStream), sent).catch((error: Error) => sent.destroy(error));
  } else sent.end(body);
  const [answer] = await answered;
  const status = answer.statusCode ?? 0;
  const bodyOf =
    status === 204 || status === 304 ? null : (Readable.toWeb(answer) as globalThis.ReadableStream);
  return new Response(bodyOf, {
    status,
    headers: Object.entries(answer.headers).map(([k, v]) => [k, String(v)]),
  });
}

async function connectPinned(url: URL, certificate: string): Promise<TLSSocket> {
  const host = url.hostname.replaceAll(/[[\]]/g, '');
  const socket = connect({ host, port: Number(url.port), rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(CONNECT_MS) });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  if (socket.getPeerCertificate().fingerprint256 === fingerprintOf(certificate)) return socket;
  socket.destroy();
  throw new NodeError(
    'not-running',
    `what answers at ${url.origin} has another certificate than console.certificate: restart the node if you changed it`,
  );
}
