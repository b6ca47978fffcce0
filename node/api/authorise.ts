import type { FastifyRequest } from 'fastify';
import { type Access, allows } from './access.ts';
import type { Console } from './console.ts';
import { ApiError } from './problem.ts';
import { isLoopback } from './tls-identity.ts';

export const SESSION_COOKIE = 'blocktree_session';

/** Settles who asks, before anything else is read of a request, and refuses who may not. */
export function authorise(app: Console, access: Access, host: string): void {
  app.decorateRequest('role', undefined);
  app.decorateRequest('sessionSecret', undefined);
  app.decorateRequest('isLoggedIn', undefined);
  app.addHook('onRequest', async (request) => {
    if (isLoopback(host)) checkHost(request);
    const bearer = /^Bearer ([\w-]{20,100})$/.exec(request.headers.authorization ?? '')?.[1];
    const session = request.cookies[SESSION_COOKIE];
    const secret = bearer ?? session;
    request.sessionSecret = session;
    request.role = secret === undefined ? undefined : access.roleOf(secret);
    if (secret !== undefined && request.role !== undefined)
      request.isLoggedIn = () => access.roleOf(secret) !== undefined;
    const { role: needed = 'anybody' } = request.routeOptions.config;
    if (needed !== 'anybody') {
      if (request.role === undefined)
        throw new ApiError(
          401,
          'not-logged-in',
          'expected a session ("blocktree status" prints a login link) or a bearer token ("blocktree api token create")',
        );
      if (!allows(request.role, needed))
        throw new ApiError(403, 'not-allowed', `expected the role ${needed}, this is ${request.role}`);
    }
    if (bearer === undefined && session !== undefined && !['GET', 'HEAD'].includes(request.method))
      checkOrigin(request);
  });
}

/** On loopback only loopback names are answered: another site's name that leads here (DNS rebinding) is not. */
function checkHost(request: FastifyRequest): void {
  const name = hostNameOf(request.headers.host ?? '');
  if (name === undefined || !isLoopback(name))
    throw new ApiError(421, 'wrong-host', 'expected a request to 127.0.0.1 or localhost');
}

/** The name in a Host header, in lower case and without brackets; `undefined` where there is none. */
function hostNameOf(header: string): string | undefined {
  try {
    return new URL(`http://${header}`).hostname.replaceAll(/[[\]]/g, '');
  } catch {
    return undefined;
  }
}

/** A session is only good for requests of our own pages. */
function checkOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin === undefined || origin !== `${request.protocol}://${host}`)
    throw new ApiError(403, 'wrong-origin', 'expected a request of the dashboard itself');
}
