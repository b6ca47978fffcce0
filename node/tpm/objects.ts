import { concat, equalBytes, u16, u32 } from '../../ledger/bytes.ts';
import { HANDLE } from '../../ledger/tpm/constants.ts';
import { type PublicArea, parsePublicArea } from '../../ledger/tpm/public-area.ts';
import { sized } from '../../ledger/tpm/wire.ts';
import { execute, NO_PASSWORD, readResponse } from './command.ts';
import { baseCode, RC } from './response-codes.ts';
import { flush, type LoadedObject, type LoadedStorageKey } from './session.ts';
import { AK_TEMPLATE, EK_TEMPLATE, endorsementKeyArea, SRK_TEMPLATE } from './templates.ts';
import { TpmError } from './tpm.ts';
import type { TpmTransport } from './transport.ts';

/** The keys that this program uses in a chip, and what the chip says of itself. */

/** Where manufacturers keep the RSA endorsement key, if they do (TCG EK Credential Profile §2.2.1.5). */
const EK_PERSISTENT_HANDLE = 0x81010001;
/** NV index of the certificate for the RSA-2048 key of template L-1 (EK Credential Profile §2.2.1.4). */
const EK_CERTIFICATE_INDEX = 0x01c00002;
const NV_CHUNK_BYTES = 512;
const CERTIFICATE_BYTES_MAX = 4_096;
const EMPTY = new Uint8Array(0);

const CAPABILITY_HANDLES = 1;
const CAPABILITY_PROPERTIES = 6;
/** First transient object, and first loaded session. */
const HANDLE_RANGES = [0x80000000, 0x02000000] as const;
const LEFTOVERS_MAX = 64;

/** A primary key; the same template in the same hierarchy gives the same key until the hierarchy's seed changes. */
async function createPrimary(
  transport: TpmTransport,
  hierarchy: number,
  template: Uint8Array,
): Promise<LoadedObject & { readonly area: PublicArea }> {
  const { handle, parameters } = await execute(transport, {
    name: 'CreatePrimary',
    handles: [hierarchy],
    authorizations: [NO_PASSWORD],
    parameters: concat(sized(concat(sized(EMPTY), sized(EMPTY))), sized(template), sized(EMPTY), u32(0)),
    returnsHandle: true,
  });
  const publicArea = readResponse(parameters, (reader) => reader.sized(1_024).slice());
  const area = readResponse(publicArea, () => parsePublicArea(publicArea, 'malformed'));
  return { handle, publicArea, area };
}

/** Runs `use` with a key loaded, and frees it after. */
async function withPrimary<T>(
  transport: TpmTransport,
  hierarchy: number,
  template: Uint8Array,
  use: (key: LoadedObject & { readonly area: PublicArea }) => Promise<T>,
): Promise<T> {
  const key = await createPrimary(transport, hierarchy, template);
  try {
    return await use(key);
  } finally {
    await flush(transport, key.handle);
  }
}

/** The attestation key: a primary of the endorsement hierarchy, so that it is the same at each start. */
export function withAttestationKey<T>(
  transport: TpmTransport,
  use: (key: LoadedObject) => Promise<T>,
): Promise<T> {
  return withPrimary(transport, HANDLE.endorsement, AK_TEMPLATE, use);
}

/** The storage root key, under which secrets are sealed. */
export function withStorageKey<T>(
  transport: TpmTransport,
  use: (key: LoadedStorageKey) => Promise<T>,
): Promise<T> {
  return withPrimary(transport, HANDLE.owner, SRK_TEMPLATE, (key) => {
    const { area } = key;
    if (area.type !== 'ecc') throw new TpmError('unsupported', 'the chip made a storage key of another type');
    return use({ ...key, area });
  });
}

/**
 * The RSA-2048 endorsement key of template L-1: the one that the manufacturer left loaded where it is that key,
 * made anew otherwise, which takes seconds on a slow chip.
 */
export async function withEndorsementKey<T>(
  transport: TpmTransport,
  use: (key: LoadedObject & { readonly modulus: Uint8Array }) => Promise<T>,
): Promise<T> {
  const publicArea = await readPublic(transport, EK_PERSISTENT_HANDLE);
  const modulus = publicArea === undefined ? undefined : pinnedModulus(publicArea);
  if (publicArea !== undefined && modulus !== undefined)
    return use({ handle: EK_PERSISTENT_HANDLE, publicArea, modulus });
  return withPrimary(transport, HANDLE.endorsement, EK_TEMPLATE, (key) => {
    const made = pinnedModulus(key.publicArea);
    if (made === undefined) throw new TpmError('unsupported', 'the chip made another endorsement key');
    return use({ ...key, modulus: made });
  });
}

/** The modulus of an area that is exactly template L-1. */
function pinnedModulus(publicArea: Uint8Array): Uint8Array | undefined {
  const modulus = publicArea.slice(-256);
  return equalBytes(publicArea, endorsementKeyArea(modulus)) ? modulus : undefined;
}

async function readPublic(transport: TpmTransport, handle: number): Promise<Uint8Array | undefined> {
  const response = await unlessAbsent(execute(transport, { name: 'ReadPublic', handles: [handle] }));
  if (response === undefined) return undefined;
  return readResponse(response.parameters, (reader) => reader.sized(1_024).slice());
}

/** `undefined` where the chip says that the handle is not there. */
async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof TpmError && baseCode(error.responseCode ?? 0) === RC.handle) return undefined;
    throw error;
  }
}

/** The manufacturer's certificate (DER) for the endorsement key, where the chip carries one. */
export async function readEkCertificate(transport: TpmTransport): Promise<Uint8Array | undefined> {
  const index = EK_CERTIFICATE_INDEX;
  const found = await unlessAbsent(execute(transport, { name: 'NV_ReadPublic', handles: [index] }));
  if (found === undefined) return undefined;
  const length = readResponse(found.parameters, (reader) => {
    const area = reader.sized(256);
    return readResponse(area, (inner) => {
      inner.take(4 + 2 + 4);
      inner.sized(64);
      return inner.u16();
    });
  });
  if (length > CERTIFICATE_BYTES_MAX) return undefined;
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < length; at += NV_CHUNK_BYTES) {
    const { parameters } = await execute(transport, {
      name: 'NV_Read',
      handles: [index, index],
      authorizations: [NO_PASSWORD],
      parameters: concat(u16(Math.min(NV_CHUNK_BYTES, length - at)), u16(at)),
    });
    chunks.push(readResponse(parameters, (reader) => reader.sized(NV_CHUNK_BYTES)));
  }
  return withoutPadding(concat(...chunks));
}

/** The index may be longer than the certificate: its first DER element is the certificate. */
function withoutPadding(bytes: Uint8Array): Uint8Array | undefined {
  const [tag, form, high, low] = bytes;
  if (tag !== 0x30 || form !== 0x82 || high === undefined || low === undefined) return undefined;
  return bytes.slice(0, 4 + high * 256 + low);
}

/** A fixed property of the chip (TPM_PT, Part 2 §6.13). */
export async function readProperty(transport: TpmTransport, property: number): Promise<number> {
  const { parameters } = await execute(transport, {
    name: 'GetCapability',
    parameters: concat(u32(CAPABILITY_PROPERTIES), u32(property), u32(1)),
  });
  return readResponse(parameters, (reader) => {
    reader.take(1 + 4);
    const count = reader.u32();
    const found = count === 1 && reader.u32() === property;
    return found ? reader.u32() : reader.refuse(`no property 0x${property.toString(16)}`);
  });
}

/**
 * Frees every object and session that is loaded. Only where no resource manager shares the chip and this program is
 * its one client: what is there then was left by a process that died.
 */
export async function flushLeftovers(transport: TpmTransport): Promise<void> {
  for (const from of HANDLE_RANGES) {
    const { parameters } = await execute(transport, {
      name: 'GetCapability',
      parameters: concat(u32(CAPABILITY_HANDLES), u32(from), u32(LEFTOVERS_MAX)),
    });
    const handles = readResponse(parameters, (reader) => {
      reader.take(1 + 4);
      const count = Math.min(reader.u32(), LEFTOVERS_MAX);
      return Array.from({ length: count }, () => reader.u32());
    });
    for (const handle of handles) await flush(transport, handle);
  }
}
