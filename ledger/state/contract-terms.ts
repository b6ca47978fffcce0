import * as P from 'micro-packed';
import { sha256 } from '../crypto/sha256.ts';
import { invariant } from '../errors.ts';
import { type Grains, grains } from '../grains.ts';
import { type ContractId, type Hash, idBytes } from '../ids.ts';
import type { ContractRoot, StorageContract } from './entities.ts';

/** Arithmetic of storage contracts: prices, roots and challenges. Pure functions of the contract. */

const LEAVES_PER_GIB = 1_048_576n;
const BYTES_PER_GIB = 1_073_741_824n;

/** Grains for keeping `leafCount` KiB for one period, rounded down. */
export function periodPrice(priceGrainsPerGiBPeriod: Grains, leafCount: number): Grains {
  return grains((priceGrainsPerGiBPeriod * BigInt(leafCount)) / LEAVES_PER_GIB);
}

/** Grains for serving `bytes`, rounded down. */
export function egressPrice(egressGrainsPerGiB: Grains, bytes: number): Grains {
  return grains((egressGrainsPerGiB * BigInt(bytes)) / BYTES_PER_GIB);
}

/** The root in force at the start of `period`; `undefined` before the contract starts. */
export function rootAt(contract: StorageContract, period: number): ContractRoot | undefined {
  let found: ContractRoot | undefined;
  for (const root of contract.roots) if (root.fromPeriod <= period) found = root;
  return found;
}

/** The newest root, in force or not. */
export function newestRoot(contract: StorageContract): ContractRoot {
  const root = contract.roots.at(-1);
  invariant(root !== undefined, 'a contract without a root');
  return root;
}

/** The price of one period at the size in force at its start. */
export function priceAt(contract: StorageContract, period: number): Grains {
  return periodPrice(contract.priceGrainsPerGiBPeriod, rootAt(contract, period)?.leafCount ?? 0);
}

/** What the escrow must hold for every period that is not yet paid or missed. */
export function reservedStorageGrains(contract: StorageContract): bigint {
  let sum = 0n;
  let period = contract.nextPeriod;
  const newest = newestRoot(contract);
  for (; period <= contract.endPeriod && period < newest.fromPeriod; period++)
    sum += priceAt(contract, period);
  const rest = contract.endPeriod - period + 1;
  if (rest > 0) sum += periodPrice(contract.priceGrainsPerGiBPeriod, newest.leafCount) * BigInt(rest);
  return sum;
}

/** The leaves asked for: the first `count` values of sha256(beacon ‖ contract id ‖ u32 i) mod leafCount. */
export function challengeLeaves(
  beacon: Hash,
  contractId: ContractId,
  leafCount: number,
  count: number,
): readonly number[] {
  return Array.from({ length: count }, (_, i) => {
    const digest = sha256(idBytes(beacon), idBytes(contractId), P.U32BE.encode(i));
    const view = new DataView(digest.buffer, digest.byteOffset);
    return Number(view.getBigUint64(0) % BigInt(leafCount));
  });
}

/** The contract with the roots dropped that no period can ask for any more. */
export function withoutOldRoots(contract: StorageContract): StorageContract {
  const inForce = rootAt(contract, contract.nextPeriod);
  const roots = contract.roots.filter((root) => root === inForce || root.fromPeriod > contract.nextPeriod);
  return roots.length === contract.roots.length ? contract : { ...contract, roots };
}
