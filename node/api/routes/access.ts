import { Type as T } from 'typebox';
import type { Access } from '../access.ts';
import type { Console } from '../console.ts';
import { time } from '../present.ts';
import { ApiError, notFound } from '../problem.ts';
import { CreatedToken, NewToken, Session, Token } from '../schema/access.ts';
import { page } from '../schema/basics.ts';

const LOGINS_PER_MINUTE = 10;
const SESSION_SECONDS = 30 * 24 * 3_600;

/** Logging in and tokens. */
export function accessRoutes(app: Console, access: Access, cookieName: string, isSecure: boolean): void {
  const owner = { config: { role: 'owner' as const } };

  app.post(
    '/sessions',
    {
      config: { role: 'anybody', rateLimit: { max: LOGINS_PER_MINUTE, timeWindow: 60_000 } },
      schema: {
        tags: ['access'],
        body: T.Object({ code: T.String({ minLength: 8, maxLength: 100 }) }),
        response: { 201: Session },
      },
    },
    async (request, reply) => {
      const secret = await access.login(request.body.code);
      if (secret === undefined)
        throw new ApiError(
          401,
          'bad-code',
          'this login link was used or is too old; "blocktree status" prints a new one',
        );
      reply.setCookie(cookieName, secret, {
        httpOnly: true,
        sameSite: 'strict',
        secure: isSecure,
        path: '/',
        maxAge: SESSION_SECONDS,
      });
      return reply.code(201).send({ role: 'owner' as const });
    },
  );
  app.get(
    '/sessions/current',
    { config: { role: 'viewer' }, schema: { tags: ['access'], response: { 200: Session } } },
    async (request) => ({
      role: request.role ?? ('viewer' as const),
    }),
  );
  app.delete(
    '/sessions/current',
    { config: { role: 'viewer' }, schema: { tags: ['access'], response: { 204: T.Null() } } },
    async (request, reply) => {
      if (request.sessionSecret !== undefined) await access.logout(request.sessionSecret);
      return reply.clearCookie(cookieName, { path: '/' }).code(204).send(null);
    },
  );
  app.post(
    '/sessions/links',
    {
      ...owner,
      schema: {
        tags: ['access'],
        description: 'A code that logs one browser in, once.',
        response: { 201: T.Object({ code: T.String() }) },
      },
    },
    async (_, reply) => reply.code(201).send({ code: access.loginCode() }),
  );

  const present = (entry: ReturnType<Access['tokens']>[number]) => ({
    id: entry.id,
    name: entry.name,
    role: entry.role,
    local: entry.isLocal === true,
    createdAt: time(entry.createdMs),
  });
  app.get(
    '/tokens',
    { ...owner, schema: { tags: ['access'], response: { 200: page(Token) } } },
    async () => ({ items: access.tokens().map(present), nextCursor: null }),
  );
  app.post(
    '/tokens',
    { ...owner, schema: { tags: ['access'], body: NewToken, response: { 201: CreatedToken } } },
    async (request, reply) => {
      const created = await access.createToken(request.body.name, request.body.role);
      return reply.code(201).send({ ...present(created), token: created.token });
    },
  );
  app.delete(
    '/tokens/:id',
    {
      ...owner,
      schema: {
        tags: ['access'],
        params: T.Object({ id: T.String({ maxLength: 40 }) }),
        response: { 204: T.Null() },
      },
    },
    async (request, reply) => {
      if (!(await access.revoke(request.params.id))) throw notFound(`token ${request.params.id}`);
      return reply.code(204).send(null);
    },
  );
}
