import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { problem } from './problem.ts';
import type { SlownessBounds } from './slow-clients.ts';

/** The console's socket: plain HTTP or TLS, with bounds on what a connection costs before a request is a request. */

const CONNECTIONS_MAX = 1_000;
const KEEP_ALIVE_MS = 30_000;
const CHECKS_PER_BOUND = 5;

/** PEM texts. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly key: string;
}

export function createListener(
  handler: http.RequestListener,
  bounds: SlownessBounds,
  tls: TlsIdentity | undefined,
): http.Server {
  const options: http.ServerOptions = {
    headersTimeout: bounds.headersMs,
    // Uploads take as long as they take; `steadyBody` sees to it that they go on.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.ceil(bounds.headersMs / CHECKS_PER_BOUND),
  };
  const server =
    tls === undefined
      ? http.createServer(options, handler)
      : https.createServer(
          {
            ...options,
            cert: tls.certificate,
            key: tls.key,
            minVersion: 'TLSv1.2',
            handshakeTimeout: bounds.headersMs,
          },
          handler,
        );
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

const REFUSALS: Record<string, readonly [status: number, reason: string, code: string, detail: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [
    408,
    'Request Timeout',
    'too-slow',
    'the headers of the request did not arrive in time',
  ],
  HPE_HEADER_OVERFLOW: [
    431,
    'Request Header Fields Too Large',
    'oversized',
    'the headers of the request are too long',
  ],
};

/** Answers what is no HTTP request, or never becomes one. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason, code, detail] = REFUSALS[error.code ?? ''] ?? [
    400,
    'Bad Request',
    'bad-request',
    'expected a request in HTTP/1.1',
  ];
  const body = JSON.stringify(problem(status, code, detail));
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
