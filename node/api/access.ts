import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivateFile } from '../keys/private-file.ts';
import { Listeners } from '../listeners.ts';
import { ApiError } from './problem.ts';
import type { RoleName } from './schema/access.ts';

/**
 * Who may do what. Programs carry bearer tokens, browsers a session cookie; of both only SHA-256 hashes are kept (they
 * are random and long, so nothing slower is needed). The first login is by a one-time code.
 */

const SESSION_MS = 30 * 24 * 3_600_000;
const LOGIN_CODE_MS = 24 * 3_600_000;
/** The oldest session ends when another begins. */
const SESSIONS_MAX = 100;
/** Tokens belong to programs that count on them: none goes by itself, a further one is refused. */
const TOKENS_MAX = 400;

interface Entry {
  readonly id: string;
  readonly name: string;
  readonly role: RoleName;
  readonly hash: string;
  readonly createdMs: number;
  /** Sessions end; tokens are revoked. */
  readonly endsMs: number | undefined;
  /** The token in the data folder, which the command line of this machine uses. */
  readonly isLocal?: boolean;
}

type NewEntry = Pick<Entry, 'name' | 'role' | 'endsMs' | 'isLocal'>;

const RANK: Record<RoleName, number> = { viewer: 1, operator: 2, owner: 3 };

/** Whether a role may do what `needed` may. */
export function allows(role: RoleName | undefined, needed: RoleName): boolean {
  return role !== undefined && RANK[role] >= RANK[needed];
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** What stays when `entry` comes. Throws ApiError `too-many-tokens`. */
function roomFor(entry: Entry, entries: readonly Entry[]): Entry[] {
  const sessions = entries.filter(({ endsMs }) => endsMs !== undefined && endsMs > Date.now());
  const tokens = entries.filter(({ endsMs }) => endsMs === undefined);
  if (entry.endsMs !== undefined) return [...tokens, ...sessions.slice(1 - SESSIONS_MAX)];
  const programs = tokens.filter(({ isLocal }) => isLocal !== true);
  // There is one local token, and always room for it.
  if (entry.isLocal === true) return [...programs, ...sessions];
  if (programs.length >= TOKENS_MAX)
    throw new ApiError(
      409,
      'too-many-tokens',
      `there are ${TOKENS_MAX} tokens already; revoke one that is not used`,
    );
  return [...tokens, ...sessions];
}

export class Access {
  readonly #path: string;
  /** Where the local token is kept. */
  readonly #localPath: string;
  #entries: Entry[];
  #lastChange: Promise<void> = Promise.resolve();
  readonly #changes = new Listeners();
  #codes: { readonly hash: string; readonly endsMs: number }[] = [];

  private constructor(path: string, localPath: string, entries: Entry[]) {
    this.#path = path;
    this.#localPath = localPath;
    this.#entries = entries;
  }

  /** Reads the hashes, and makes the owner token of the local command line (`api-token`, 0600) when there is none. */
  static async open(dataFolder: string): Promise<Access> {
    const path = join(dataFolder, 'access.json');
    const access = new Access(
      path,
      join(dataFolder, 'api-token'),
      existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Entry[]) : [],
    );
    const tokenPath = access.#localPath;
    const token = existsSync(tokenPath) ? readFileSync(tokenPath, 'utf8').trim() : undefined;
    if (token === undefined || access.roleOf(token) !== 'owner') await access.#makeLocal();
    return access;
  }

  async #makeLocal(): Promise<void> {
    const { secret } = await this.#add({
      name: 'command line',
      role: 'owner',
      endsMs: undefined,
      isLocal: true,
    });
    await writePrivateFile(this.#localPath, `${secret}\n`);
  }

  /** The role behind a token or session secret. */
  roleOf(secret: string): RoleName | undefined {
    const hash = Buffer.from(hashOf(secret), 'hex');
    const found = this.#entries.find((entry) => timingSafeEqual(Buffer.from(entry.hash, 'hex'), hash));
    return found === undefined || (found.endsMs !== undefined && found.endsMs < Date.now())
      ? undefined
      : found.role;
  }

  async #add(given: NewEntry): Promise<{ entry: Entry; secret: string }> {
    const secret = randomBytes(32).toString('base64url');
    const entry: Entry = {
      id: randomBytes(8).toString('hex'),
      hash: hashOf(secret),
      createdMs: Date.now(),
      ...given,
    };
    await this.#change((entries) => [...roomFor(entry, entries), entry]);
    return { entry, secret };
  }

  /** Calls back when a session or token came or went. Gives a function that stops it. */
  onChange(listener: () => void): () => void {
    return this.#changes.add(listener);
  }

  /** Changes wait for each other, each made from what the one before left: a revocation is never undone by a login. */
  #change(change: (entries: readonly Entry[]) => Entry[]): Promise<void> {
    const next = this.#lastChange.then(async () => {
      const entries = change(this.#entries);
      await writePrivateFile(this.#path, JSON.stringify(entries));
      this.#entries = entries;
      this.#changes.tell();
    });
    // The caller gets the failure; the next change is made all the same.
    this.#lastChange = next.catch(() => undefined);
    return next;
  }

  /** A code that lets one browser in, once. */
  loginCode(): string {
    const code = randomBytes(24).toString('base64url');
    this.#codes = [
      ...this.#codes.filter(({ endsMs }) => endsMs > Date.now()).slice(-9),
      { hash: hashOf(code), endsMs: Date.now() + LOGIN_CODE_MS },
    ];
    return code;
  }

  /** A session for a code that was not used before. */
  async login(code: string): Promise<string | undefined> {
    const hash = hashOf(code);
    const at = this.#codes.findIndex((known) => known.hash === hash && known.endsMs > Date.now());
    if (at < 0) return undefined;
    this.#codes.splice(at, 1);
    return (await this.#add({ name: 'browser', role: 'owner', endsMs: Date.now() + SESSION_MS })).secret;
  }

  async logout(secret: string): Promise<void> {
    const hash = hashOf(secret);
    await this.#change((entries) => entries.filter((entry) => entry.hash !== hash));
  }

  /** Throws ApiError `too-many-tokens`. */
  async createToken(name: string, role: RoleName): Promise<Entry & { token: string }> {
    const { entry, secret } = await this.#add({ name, role, endsMs: undefined });
    return { ...entry, token: secret };
  }

  tokens(): readonly Entry[] {
    return this.#entries.filter((entry) => entry.endsMs === undefined);
  }

  /** False when there is none. The local token is followed by another: without one nobody could ask for a login link. */
  async revoke(id: string): Promise<boolean> {
    let found: Entry | undefined;
    await this.#change((entries) => {
      found = entries.find((entry) => entry.id === id);
      return entries.filter((entry) => entry.id !== id);
    });
    if (found?.isLocal === true) await this.#makeLocal();
    return found !== undefined;
  }
}
