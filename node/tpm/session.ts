import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { concat, u16, u32 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { ALG, HANDLE } from '../../ledger/tpm/constants.ts';
import { objectName, type PublicArea } from '../../ledger/tpm/public-area.ts';
import { sized } from '../../ledger/tpm/wire.ts';
import { COMMAND, type CommandName, execute, readResponse } from './command.ts';
import { kdfa, kdfe } from './credential.ts';
import { AES_128_CFB } from './templates.ts';
import { TpmError } from './tpm.ts';
import type { TpmTransport } from './transport.ts';

/** TPMA_SESSION bits: encrypt the first command parameter, and the first response parameter. */
const DECRYPT_COMMAND = 0x20;
const ENCRYPT_RESPONSE = 0x40;
const SESSION_HMAC = 0;
const SESSION_POLICY = 1;
const NONCE_BYTES = 16;
const EMPTY = new Uint8Array(0);

const freshNonce = () => Uint8Array.from(randomBytes(NONCE_BYTES));

/** A policy session, not yet satisfied. The caller flushes it unless a command consumes it. */
export async function startPolicySession(transport: TpmTransport): Promise<number> {
  const { handle } = await execute(transport, {
    name: 'StartAuthSession',
    handles: [HANDLE.null, HANDLE.null],
    parameters: concat(
      sized(freshNonce()),
      sized(EMPTY),
      Uint8Array.of(SESSION_POLICY),
      u16(ALG.null),
      u16(ALG.sha256),
    ),
    returnsHandle: true,
  });
  return handle;
}

/** A loaded object as a command names it. */
export interface LoadedObject {
  readonly handle: number;
  readonly publicArea: Uint8Array;
}

/** A P-256 storage key that is loaded. */
export interface LoadedStorageKey extends LoadedObject {
  readonly area: Extract<PublicArea, { type: 'ecc' }>;
}

/** A command whose first parameter, in or out, must not cross the bus in the clear. */
interface SecretCommand {
  readonly name: CommandName;
  readonly object: LoadedObject;
  /** Password of `object`. */
  readonly auth: Uint8Array;
  /** Content of the first command parameter, a `TPM2B`, which is encrypted. */
  readonly secretIn?: Uint8Array;
  /** The command's other parameters. */
  readonly parameters?: Uint8Array;
  /** Whether the first response parameter comes back encrypted. */
  readonly secretOut?: boolean;
}

/**
 * Runs one command under an HMAC session of its own (Part 1 §19): salted by an ECDH with the storage key, AES-128-CFB
 * over the first parameter, both directions authenticated. Returns the response parameters with the first one decrypted.
 * The session ends with the command. Throws TpmError; `io` when the response is not by the chip that took the salt.
 */
export async function executeSecret(
  transport: TpmTransport,
  storageKey: LoadedStorageKey,
  command: SecretCommand,
): Promise<Uint8Array> {
  const session = await startSaltedSession(transport, storageKey);
  const key = concat(session.key, withoutTrailingZeros(command.auth));
  const nonceCaller = freshNonce();
  const attributes =
    (command.secretIn === undefined ? 0 : DECRYPT_COMMAND) | (command.secretOut ? ENCRYPT_RESPONSE : 0);
  const cipherKeys = (newer: Uint8Array, older: Uint8Array) => {
    const material = kdfa(key, 'CFB', newer, older, 256);
    return [material.subarray(0, 16), material.subarray(16)] as const;
  };
  const first =
    command.secretIn === undefined
      ? EMPTY
      : sized(encrypt(command.secretIn, ...cipherKeys(nonceCaller, session.nonceTpm)));
  const parameters = concat(first, command.parameters ?? EMPTY);
  const code = u32(COMMAND[command.name]);
  const commandDigest = sha256(code, objectName(command.object.publicArea), parameters);
  const mac = (digest: Uint8Array, newer: Uint8Array, older: Uint8Array, flags: number) =>
    Uint8Array.from(
      createHmac('sha256', key)
        .update(concat(digest, newer, older, Uint8Array.of(flags)))
        .digest(),
    );
  const hmac = mac(commandDigest, nonceCaller, session.nonceTpm, attributes);
  let response: Awaited<ReturnType<typeof execute>>;
  try {
    response = await execute(transport, {
      name: command.name,
      handles: [command.object.handle],
      authorizations: [{ handle: session.handle, nonce: nonceCaller, attributes, hmac }],
      parameters,
    });
  } catch (error) {
    await flush(transport, session.handle);
    throw error;
  }
  const reply = readResponse(response.authorizations, (reader) => ({
    nonce: reader.sized(64),
    attributes: reader.u8(),
    hmac: reader.sized(64),
  }));
  const replyDigest = sha256(u32(0), code, response.parameters);
  const expected = mac(replyDigest, reply.nonce, nonceCaller, reply.attributes);
  if (reply.hmac.length !== expected.length || !timingSafeEqual(reply.hmac, expected))
    throw new TpmError('io', `${command.name}: the response was changed on its way`);
  if (!command.secretOut) return response.parameters;
  return readResponse(response.parameters, (reader) => {
    const plain = decrypt(reader.sized(4_096), ...cipherKeys(reply.nonce, nonceCaller));
    return concat(sized(plain), reader.rest());
  });
}

async function startSaltedSession(transport: TpmTransport, { handle: saltKey, area }: LoadedStorageKey) {
  const ephemeral = createECDH('prime256v1');
  const own = Uint8Array.from(ephemeral.generateKeys()).subarray(1);
  const x = leftPadded(area.x);
  const shared = ephemeral.computeSecret(concat(Uint8Array.of(4), x, leftPadded(area.y)));
  const salt = kdfe(Uint8Array.from(shared), 'SECRET', own.subarray(0, 32), x);
  const nonceCaller = freshNonce();
  const { handle, parameters } = await execute(transport, {
    name: 'StartAuthSession',
    handles: [saltKey, HANDLE.null],
    parameters: concat(
      sized(nonceCaller),
      sized(concat(sized(own.subarray(0, 32)), sized(own.subarray(32)))),
      Uint8Array.of(SESSION_HMAC),
      AES_128_CFB,
      u16(ALG.sha256),
    ),
    returnsHandle: true,
  });
  const nonceTpm = readResponse(parameters, (reader) => reader.sized(64));
  return { handle, nonceTpm, key: kdfa(salt, 'ATH', nonceTpm, nonceCaller, 256) };
}

/** Frees an object or session. A chip that no longer has it is left alone: the command consumed it. */
export async function flush(transport: TpmTransport, handle: number): Promise<void> {
  try {
    await execute(transport, { name: 'FlushContext', parameters: u32(handle) });
  } catch (error) {
    if (!(error instanceof TpmError)) throw error;
  }
}

function encrypt(plain: Uint8Array, key: Uint8Array, iv: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-cfb', key, iv);
  return Uint8Array.from(Buffer.concat([cipher.update(plain), cipher.final()]));
}

function decrypt(encrypted: Uint8Array, key: Uint8Array, iv: Uint8Array): Uint8Array {
  const decipher = createDecipheriv('aes-128-cfb', key, iv);
  return Uint8Array.from(Buffer.concat([decipher.update(encrypted), decipher.final()]));
}

function leftPadded(coordinate: Uint8Array): Uint8Array {
  return concat(new Uint8Array(32 - coordinate.length), coordinate);
}

/** A TPM drops zeros at the end of a password before it enters an HMAC (Part 1 §19.6.4.3). */
function withoutTrailingZeros(auth: Uint8Array): Uint8Array {
  let length = auth.length;
  while (length > 0 && auth[length - 1] === 0) length--;
  return auth.subarray(0, length);
}
