import { decode, encode } from '../codec.ts';
import { invariant } from '../errors.ts';
import { type Grains, ZERO_GRAINS } from '../grains.ts';
import type { AccountId } from '../ids.ts';
import { ACCOUNTS, type Account, CLOCK, type Clock, SUPPLY, type Supply, type Table } from './entities.ts';

/** Read access to a state by table and id. Synchronous: execution never interleaves with anything. */
export interface StateReader {
  read<Id extends string, Row>(table: Table<Id, Row>, id: Id): Row | undefined;
}

/** Encoded rows by state key; `undefined` removes the row. */
export type StateChanges = ReadonlyMap<string, Uint8Array | undefined>;

/** The key of a row in storage and under the state root: the table's name separates the domains. */
export function stateKey(table: { readonly name: string }, id: string): string {
  return `${table.name}/${id}`;
}

/** A reader over encoded rows, such as a database. `get` takes a state key. */
export function readerOver(get: (key: string) => Uint8Array | undefined): StateReader {
  return {
    read<Id extends string, Row>(table: Table<Id, Row>, id: Id): Row | undefined {
      const bytes = get(stateKey(table, id));
      return bytes === undefined ? undefined : decode(table.codec, bytes, `a row of ${table.name}`);
    },
  };
}

/** The changed rows of one table by id; `undefined` where a row is removed. */
type Rows = Map<string, unknown>;

interface Undo {
  readonly rows: Rows;
  readonly id: string;
  /** Whether the row was changed before, and what to. */
  readonly was: boolean;
  readonly row: unknown;
}

/** Changes on top of a state. Nothing below is touched; what becomes of them is up to who takes `changes`. */
export class StateDraft implements StateReader {
  readonly #below: StateReader;
  /** By table and id, not by state key: long strings are dear to join and to hash. */
  readonly #tables = new Map<Table<string, unknown>, Rows>();
  #undo: Undo[] | undefined;

  constructor(below: StateReader) {
    this.#below = below;
  }

  read<Id extends string, Row>(table: Table<Id, Row>, id: Id): Row | undefined {
    const rows = this.#tables.get(table as Table<string, unknown>);
    const row = rows?.get(id) as Row | undefined;
    return row !== undefined || rows?.has(id) === true ? row : this.#below.read(table, id);
  }

  write<Id extends string, Row>(table: Table<Id, Row>, id: Id, row: Row | undefined): void {
    let rows = this.#tables.get(table as Table<string, unknown>);
    if (rows === undefined) {
      rows = new Map();
      this.#tables.set(table as Table<string, unknown>, rows);
    }
    if (this.#undo !== undefined) {
      const before = rows.get(id);
      this.#undo.push({ rows, id, was: before !== undefined || rows.has(id), row: before });
    }
    rows.set(id, row);
  }

  /** Runs `change`; when it throws, every row is again what it was before. One inside another is not foreseen. */
  attempt(change: () => void): void {
    invariant(this.#undo === undefined, 'an attempt within an attempt');
    const undo: Undo[] = [];
    this.#undo = undo;
    try {
      change();
    } catch (error) {
      for (const { rows, id, was, row } of undo.reverse()) {
        if (was) rows.set(id, row);
        else rows.delete(id);
      }
      throw error;
    } finally {
      this.#undo = undefined;
    }
  }

  /** The changed rows, encoded. */
  changes(): StateChanges {
    const out = new Map<string, Uint8Array | undefined>();
    for (const [table, rows] of this.#tables) {
      const what = `a row of ${table.name}`;
      for (const [id, row] of rows)
        out.set(stateKey(table, id), row === undefined ? undefined : encode(table.codec, row, what));
    }
    return out;
  }
}

const NO_ACCOUNT: Account = { balanceGrains: ZERO_GRAINS, nonce: 0 };

/** The account, an empty one where nothing was ever credited. */
export function accountOf(state: StateReader, id: AccountId): Account {
  return state.read(ACCOUNTS, id) ?? NO_ACCOUNT;
}

/** Adds to a balance. Money is never made here: the caller takes it from somewhere else. */
export function credit(state: StateDraft, id: AccountId, amount: Grains): void {
  if (amount === 0n) return;
  const account = accountOf(state, id);
  state.write(ACCOUNTS, id, { ...account, balanceGrains: (account.balanceGrains + amount) as Grains });
}

/** Takes from a balance that the caller has checked. */
export function debit(state: StateDraft, id: AccountId, amount: Grains): void {
  if (amount === 0n) return;
  const account = accountOf(state, id);
  invariant(account.balanceGrains >= amount, 'a debit beyond the balance');
  state.write(ACCOUNTS, id, { ...account, balanceGrains: (account.balanceGrains - amount) as Grains });
}

/** The supply record; there from genesis on. */
export function supplyOf(state: StateReader): Supply {
  const supply = state.read(SUPPLY, 'supply');
  invariant(supply !== undefined, 'the state has no supply record');
  return supply;
}

/** Moves the supply's parts by signed amounts. */
export function moveSupply(
  state: StateDraft,
  by: { claimed?: bigint; escrow?: bigint; collateral?: bigint; burned?: bigint },
): void {
  const supply = supplyOf(state);
  const next: Supply = {
    claimedGrains: (supply.claimedGrains + (by.claimed ?? 0n)) as Grains,
    escrowGrains: (supply.escrowGrains + (by.escrow ?? 0n)) as Grains,
    collateralGrains: (supply.collateralGrains + (by.collateral ?? 0n)) as Grains,
    burnedGrains: (supply.burnedGrains + (by.burned ?? 0n)) as Grains,
  };
  invariant(next.escrowGrains >= 0n && next.collateralGrains >= 0n, 'escrow or collateral below zero');
  state.write(SUPPLY, 'supply', next);
}

/** Ledger time; there from genesis on. */
export function clockOf(state: StateReader): Clock {
  const clock = state.read(CLOCK, 'clock');
  invariant(clock !== undefined, 'the state has no clock');
  return clock;
}
