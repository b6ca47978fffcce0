import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  hkdfSync,
  type KeyObject,
  randomBytes,
  sign,
  timingSafeEqual,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { concat, utf8 } from '../../ledger/bytes.ts';
import { encodeQuote } from '../../ledger/tpm/attest.ts';
import { SOFTWARE_FIRMWARE } from '../../ledger/tpm/claim-statement.ts';
import { toLowSP256 } from '../../ledger/tpm/p256.ts';
import { attestationKeyArea, checkAttestationKey } from '../../ledger/tpm/public-area.ts';
import { writePrivateFile } from '../keys/private-file.ts';
import { openCredential } from './credential.ts';
import { ekIdOf, endorsementKeyArea } from './templates.ts';
import { type EndorsementKey, SEAL_SECRET_BYTES_MAX, type SealedBlob, type Tpm, TpmError } from './tpm.ts';

/**
 * The TPM of development networks: a key file that makes the same bytes as a chip and protects nothing that the file's
 * own mode 0600 does not. Its quotes carry `SOFTWARE_FIRMWARE`; a public chain refuses them.
 */
const FORMAT = 'blocktree software TPM 1';
const TAG_BYTES = 16;
const NONCE_BYTES = 12;

interface KeyFile {
  readonly format: typeof FORMAT;
  /** PKCS #8, base64. */
  readonly endorsementKey: string;
  readonly attestationKey: string;
  /** 32 bytes, base64. */
  readonly sealKey: string;
}

const generate = promisify(generateKeyPair);

async function makeKeyFile(): Promise<KeyFile> {
  const [ek, ak] = await Promise.all([
    generate('rsa', { modulusLength: 2048 }),
    generate('ec', { namedCurve: 'P-256' }),
  ]);
  const pkcs8 = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'der' }).toString('base64');
  return {
    format: FORMAT,
    endorsementKey: pkcs8(ek.privateKey),
    attestationKey: pkcs8(ak.privateKey),
    sealKey: randomBytes(32).toString('base64'),
  };
}

async function readKeyFile(path: string): Promise<KeyFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new TpmError(code === 'EACCES' ? 'permission' : 'unavailable', `cannot read ${path} (${code})`);
  }
  try {
    const file = JSON.parse(text) as KeyFile;
    if (file.format === FORMAT) return file;
  } catch {}
  throw new TpmError('integrity', `${path} is not a software TPM key file`);
}

function privateKey(path: string, base64: string): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'pkcs8' });
  } catch {
    throw new TpmError('integrity', `${path} holds a damaged key`);
  }
}

/** Opens the software TPM whose keys are in `path`, making it (mode 0600) when there is none. */
export async function openSoftwareTpm(path: string): Promise<Tpm> {
  let file = await readKeyFile(path);
  if (file === undefined) {
    file = await makeKeyFile();
    await writePrivateFile(path, `${JSON.stringify(file)}\n`);
  }
  return new SoftwareTpm(path, file);
}

class SoftwareTpm implements Tpm {
  readonly kind = 'software';
  readonly #ek: KeyObject;
  readonly #ak: KeyObject;
  readonly #akArea: Uint8Array;
  readonly #sealKey: Uint8Array;

  constructor(path: string, file: KeyFile) {
    this.#ek = privateKey(path, file.endorsementKey);
    this.#ak = privateKey(path, file.attestationKey);
    this.#sealKey = Uint8Array.from(Buffer.from(file.sealKey, 'base64'));
    const { x, y } = createPublicKey(this.#ak).export({ format: 'jwk' });
    this.#akArea = attestationKeyArea(coordinate(x), coordinate(y));
  }

  async info() {
    return { manufacturer: 'software', firmware: SOFTWARE_FIRMWARE };
  }

  async ek(): Promise<EndorsementKey> {
    const key = createPublicKey(this.#ek);
    const modulus = coordinate(key.export({ format: 'jwk' }).n);
    return { publicArea: endorsementKeyArea(modulus), ekId: ekIdOf(key) };
  }

  async ak() {
    return { publicArea: this.#akArea, name: checkAttestationKey(this.#akArea).name };
  }

  async activate(credential: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array> {
    const { name } = await this.ak();
    return openCredential(this.#ek, name, { credential, encryptedSecret });
  }

  async attest(extra: Uint8Array) {
    const attest = encodeQuote({
      qualifiedSigner: checkAttestationKey(this.#akArea).qualifiedName,
      extraData: extra,
      clockMs: BigInt(Math.floor(performance.now())),
      resetCount: 0,
      restartCount: 0,
      firmware: SOFTWARE_FIRMWARE,
    });
    const signature = sign('sha256', attest, { key: this.#ak, dsaEncoding: 'ieee-p1363' });
    return { attest, signature: toLowSP256(Uint8Array.from(signature)) };
  }

  /** mark of this TPM 16 | proof of the password 16 | nonce 12 | ciphertext | GCM tag 16. */
  async seal(secret: Uint8Array, auth: Uint8Array): Promise<SealedBlob> {
    if (secret.length > SEAL_SECRET_BYTES_MAX)
      throw new TpmError('unsupported', `at most ${SEAL_SECRET_BYTES_MAX} bytes can be sealed`);
    const nonce = Uint8Array.from(randomBytes(NONCE_BYTES));
    const head = concat(this.#mark('chip', new Uint8Array(0)), this.#mark('auth', auth), nonce);
    const cipher = createCipheriv('aes-256-gcm', this.#key(), nonce).setAAD(head);
    const body = Buffer.concat([cipher.update(secret), cipher.final()]);
    return concat(head, body, cipher.getAuthTag());
  }

  async unseal(blob: SealedBlob, auth: Uint8Array): Promise<Uint8Array> {
    const headBytes = 2 * TAG_BYTES + NONCE_BYTES;
    if (blob.length < headBytes + TAG_BYTES) throw new TpmError('integrity', 'the sealed blob is too short');
    if (!timingSafeEqual(blob.subarray(0, TAG_BYTES), this.#mark('chip', new Uint8Array(0))))
      throw new TpmError('wrong-chip', 'the blob was sealed by another TPM');
    if (!timingSafeEqual(blob.subarray(TAG_BYTES, 2 * TAG_BYTES), this.#mark('auth', auth)))
      throw new TpmError('bad-auth', 'the blob was sealed with another password');
    const head = blob.subarray(0, headBytes);
    const decipher = createDecipheriv('aes-256-gcm', this.#key(), head.subarray(2 * TAG_BYTES));
    decipher.setAAD(head).setAuthTag(blob.subarray(blob.length - TAG_BYTES));
    try {
      const body = decipher.update(blob.subarray(headBytes, blob.length - TAG_BYTES));
      return Uint8Array.from(Buffer.concat([body, decipher.final()]));
    } catch {
      throw new TpmError('integrity', 'the sealed blob was changed');
    }
  }

  async close(): Promise<void> {}

  #mark(label: string, data: Uint8Array): Uint8Array {
    const mac = createHmac('sha256', this.#sealKey).update(utf8(label)).update(data).digest();
    return Uint8Array.from(mac.subarray(0, TAG_BYTES));
  }

  #key(): Uint8Array {
    return new Uint8Array(hkdfSync('sha256', this.#sealKey, new Uint8Array(0), 'seal', 32));
  }
}

function coordinate(base64url: string | undefined): Uint8Array {
  return Uint8Array.from(Buffer.from(base64url ?? '', 'base64url'));
}
