import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Settings } from '../config/settings.ts';
import { NodeError } from '../errors.ts';
import type { TlsIdentity } from './listener.ts';

/** Whether a console may speak plain HTTP: only where nobody but this machine can listen in. */

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** The name under which this machine itself reaches a console that listens on `host`. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** The certificate that the settings name, as it stands in its file. Throws NodeError `bad-configuration`. */
export function consoleCertificate(dataFolder: string, settings: Settings): string | undefined {
  const path = settings['console.certificate'];
  return path === '' ? undefined : read(dataFolder, 'console.certificate', path);
}

/** The console's certificate and key, when it has them. Throws NodeError `bad-configuration`, also off loopback without them. */
export function tlsIdentity(dataFolder: string, settings: Settings): TlsIdentity | undefined {
  const host = settings['console.host'];
  const certificate = consoleCertificate(dataFolder, settings);
  const keyPath = settings['console.key'];
  if (certificate === undefined && keyPath === '') {
    if (isLoopback(host)) return undefined;
    throw new NodeError(
      'bad-configuration',
      `a console on ${host} would send tokens and money in the clear: set console.certificate and console.key (PEM files), or console.host to 127.0.0.1`,
    );
  }
  if (certificate === undefined || keyPath === '')
    throw new NodeError('bad-configuration', 'expected console.certificate and console.key together');
  const identity = { certificate, key: read(dataFolder, 'console.key', keyPath) };
  try {
    createSecureContext({ cert: identity.certificate, key: identity.key });
  } catch (error) {
    throw new NodeError(
      'bad-configuration',
      `console.certificate and console.key are no certificate and its key: ${(error as Error).message}`,
    );
  }
  return identity;
}

/** SHA-256 of a certificate, as TLS sockets give it. Throws NodeError `bad-configuration`. */
export function fingerprintOf(certificate: string): string {
  try {
    return new X509Certificate(certificate).fingerprint256;
  } catch {
    throw new NodeError('bad-configuration', 'console.certificate is no certificate in PEM');
  }
}

function read(dataFolder: string, name: string, path: string): string {
  try {
    return readFileSync(isAbsolute(path) ? path : join(dataFolder, path), 'utf8');
  } catch (error) {
    throw new NodeError(
      'bad-configuration',
      `${name}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}
