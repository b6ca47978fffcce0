import PQueue from 'p-queue';
import { concat, u16, u32 } from '../../ledger/bytes.ts';
import { type EkId, hashId, idBytes } from '../../ledger/ids.ts';
import { parseTpmSignature } from '../../ledger/tpm/attest.ts';
import { ALG, HANDLE } from '../../ledger/tpm/constants.ts';
import { toLowSP256 } from '../../ledger/tpm/p256.ts';
import { checkAttestationKey } from '../../ledger/tpm/public-area.ts';
import { sized, WireReader } from '../../ledger/tpm/wire.ts';
import { execute, NO_PASSWORD, readResponse } from './command.ts';
import {
  flushLeftovers,
  readEkCertificate,
  readProperty,
  withAttestationKey,
  withEndorsementKey,
  withStorageKey,
} from './objects.ts';
import { RC } from './response-codes.ts';
import { executeSecret, flush, startPolicySession } from './session.ts';
import { ekIdOf, rsaKey, SEALED_TEMPLATE } from './templates.ts';
import { type EndorsementKey, SEAL_SECRET_BYTES_MAX, type SealedBlob, type Tpm, TpmError } from './tpm.ts';
import type { TpmTransport } from './transport.ts';

/** More callers than this are turned away: a chip does a few operations a second. */
const WAITING_MAX = 64;

/** TPM_PT of the manufacturer's four letters and of the firmware version's two halves. */
const PROPERTY = { manufacturer: 0x105, firmwareHigh: 0x10b, firmwareLow: 0x10c } as const;

const STARTUP_CLEAR = u16(0);
const BLOB_VERSION = 1;
const EMPTY = new Uint8Array(0);

/**
 * A TPM 2.0 at the other end of a transport. Each operation opens the transport, has the chip to itself, frees what it
 * loaded and closes again, so that other programs get their turn and a restarted chip is simply found again.
 */
export class Chip implements Tpm {
  readonly kind = 'tpm2';
  readonly #connect: () => Promise<TpmTransport>;
  readonly #queue = new PQueue({ concurrency: 1 });
  #closed = false;
  #ek: EndorsementKey | undefined;
  #ak: { readonly publicArea: Uint8Array; readonly name: Uint8Array } | undefined;

  constructor(connect: () => Promise<TpmTransport>) {
    this.#connect = connect;
  }

  info() {
    return this.#exclusive(async (transport) => {
      const letters = await readProperty(transport, PROPERTY.manufacturer);
      const high = await readProperty(transport, PROPERTY.firmwareHigh);
      const low = await readProperty(transport, PROPERTY.firmwareLow);
      const manufacturer = String.fromCharCode(...u32(letters)).replace(/[^\x21-\x7e]/g, '');
      return { manufacturer, firmware: (BigInt(high) << 32n) | BigInt(low) };
    });
  }

  async ek(): Promise<EndorsementKey> {
    this.#ek ??= await this.#exclusive(async (transport) => {
      const certificate = await readEkCertificate(transport);
      return withEndorsementKey(transport, async ({ publicArea, modulus }) => ({
        publicArea,
        ekId: ekIdOf(rsaKey(modulus, 65_537)),
        ...(certificate === undefined ? {} : { certificate }),
      }));
    });
    return this.#ek;
  }

  async ak() {
    this.#ak ??= await this.#exclusive((transport) =>
      withAttestationKey(transport, async ({ publicArea }) => ({
        publicArea,
        name: checkAttestationKey(publicArea).name,
      })),
    );
    return this.#ak;
  }

  activate(credential: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array> {
    return this.#exclusive((transport) =>
      withAttestationKey(transport, (ak) =>
        withEndorsementKey(transport, (ek) =>
          activateCredential(transport, ak.handle, ek.handle, credential, encryptedSecret),
        ),
      ),
    );
  }

  attest(extra: Uint8Array) {
    return this.#exclusive((transport) =>
      withAttestationKey(transport, async ({ handle }) => {
        const { parameters } = await execute(transport, {
          name: 'Quote',
          handles: [handle],
          authorizations: [NO_PASSWORD],
          parameters: concat(sized(extra), u16(ALG.null), u32(0)),
        });
        return readResponse(parameters, (reader) => ({
          attest: reader.sized(1_024).slice(),
          signature: toLowSP256(parseTpmSignature(reader.rest())),
        }));
      }),
    );
  }

  /** version 1 | ekId 32 | TPM2B_PRIVATE | TPM2B_PUBLIC. */
  async seal(secret: Uint8Array, auth: Uint8Array): Promise<SealedBlob> {
    if (secret.length > SEAL_SECRET_BYTES_MAX)
      throw new TpmError('unsupported', `at most ${SEAL_SECRET_BYTES_MAX} bytes can be sealed`);
    const { ekId } = await this.ek();
    return this.#exclusive((transport) =>
      withStorageKey(transport, async (parent) => {
        const parameters = await executeSecret(transport, parent, {
          name: 'Create',
          object: parent,
          auth: EMPTY,
          secretIn: concat(sized(auth), sized(secret)),
          parameters: concat(sized(SEALED_TEMPLATE), sized(EMPTY), u32(0)),
        });
        return readResponse(parameters, (reader) => {
          const privateArea = reader.sized(1_024);
          const publicArea = reader.sized(1_024);
          return concat(Uint8Array.of(BLOB_VERSION), idBytes(ekId), sized(privateArea), sized(publicArea));
        });
      }),
    );
  }

  async unseal(blob: SealedBlob, auth: Uint8Array): Promise<Uint8Array> {
    const sealed = parseBlob(blob);
    const { ekId } = await this.ek();
    if (sealed.ekId !== ekId) throw new TpmError('wrong-chip', `this was sealed by the chip ${sealed.ekId}`);
    return this.#exclusive((transport) =>
      withStorageKey(transport, async (parent) => {
        const { handle } = await execute(transport, {
          name: 'Load',
          handles: [parent.handle],
          authorizations: [NO_PASSWORD],
          parameters: concat(sized(sealed.privateArea), sized(sealed.publicArea)),
          returnsHandle: true,
        });
        try {
          const parameters = await executeSecret(transport, parent, {
            name: 'Unseal',
            object: { handle, publicArea: sealed.publicArea },
            auth,
            secretOut: true,
          });
          return readResponse(parameters, (reader) => reader.sized(SEAL_SECRET_BYTES_MAX).slice());
        } finally {
          await flush(transport, handle);
        }
      }),
    );
  }

  /** Waits for what is under way; further calls are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue.onIdle();
  }

  async #exclusive<T>(use: (transport: TpmTransport) => Promise<T>): Promise<T> {
    if (this.#closed) throw new TpmError('unavailable', 'the TPM was closed');
    if (this.#queue.size >= WAITING_MAX) throw new TpmError('busy', `${WAITING_MAX} operations are waiting`);
    return this.#queue.add(async () => {
      const transport = await this.#connect();
      try {
        if (!transport.managed) await startUp(transport);
        return await use(transport);
      } finally {
        await transport.close();
      }
    });
  }
}

/** Makes an emulator, or a chip without resource manager, ready: its kernel does that for a managed one. */
async function startUp(transport: TpmTransport): Promise<void> {
  try {
    await execute(transport, { name: 'Startup', parameters: STARTUP_CLEAR });
  } catch (error) {
    if (!(error instanceof TpmError && error.responseCode === RC.initialize)) throw error;
  }
  await flushLeftovers(transport);
}

async function activateCredential(
  transport: TpmTransport,
  akHandle: number,
  ekHandle: number,
  credential: Uint8Array,
  encryptedSecret: Uint8Array,
): Promise<Uint8Array> {
  const session = await startPolicySession(transport);
  try {
    await execute(transport, {
      name: 'PolicySecret',
      handles: [HANDLE.endorsement, session],
      authorizations: [NO_PASSWORD],
      parameters: concat(sized(EMPTY), sized(EMPTY), sized(EMPTY), u32(0)),
    });
    const byPolicy = { handle: session, nonce: EMPTY, attributes: 0, hmac: EMPTY };
    const { parameters } = await execute(transport, {
      name: 'ActivateCredential',
      handles: [akHandle, ekHandle],
      authorizations: [NO_PASSWORD, byPolicy],
      parameters: concat(sized(credential), sized(encryptedSecret)),
    });
    return readResponse(parameters, (reader) => reader.sized(64).slice());
  } catch (error) {
    await flush(transport, session);
    const refused = error instanceof TpmError && error.responseCode !== undefined && error.code === 'io';
    throw refused ? new TpmError('wrong-chip', 'the credential is for another endorsement key') : error;
  }
}

function parseBlob(blob: SealedBlob) {
  const reader = new WireReader(blob, 'malformed');
  try {
    if (reader.u8() !== BLOB_VERSION) reader.refuse('another version');
    const ekId = hashId<EkId>(reader.take(32));
    const privateArea = reader.sized(1_024);
    const publicArea = reader.sized(1_024);
    reader.end();
    return { ekId, privateArea, publicArea };
  } catch {
    throw new TpmError('integrity', 'the sealed blob cannot be read');
  }
}
