import { Type as T } from 'typebox';
import {
  type BlockHeader,
  blockIdOf,
  decodeBlockInSteps,
  transactionAt,
  transactionCountOf,
} from '../../../ledger/block.ts';
import { fromHex } from '../../../ledger/bytes.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import {
  accountAddress,
  type BlockId,
  type ContractId,
  type EkId,
  nodeAddress,
  parseAccountAddress,
  parseHashId,
  type TransactionId,
} from '../../../ledger/ids.ts';
import { accountOf } from '../../../ledger/state/draft.ts';
import { BEACONS, TPMS } from '../../../ledger/state/entities.ts';
import { decodeTransaction, transactionId } from '../../../ledger/transaction.ts';
import { Breather, inSteps } from '../../breather.ts';
import { NodeError } from '../../errors.ts';
import { tryOut } from '../../ledger/chain/try-out.ts';
import { sortable } from '../../ledger/store/ledger-database.ts';
import {
  historyEntry,
  type PeriodEntry,
  type StoredHistory,
  type TransactionPlace,
} from '../../ledger/store/ledger-index.ts';
import type { BlocktreeNode } from '../../node.ts';
import type { Console } from '../console.ts';
import { pageOfContracts } from '../contract-pages.ts';
import { pageOf } from '../paging.ts';
import { presentBlock, presentContract, presentHistory, presentTransaction, time } from '../present.ts';
import { notFound } from '../problem.ts';
import { PageQuery, page } from '../schema/basics.ts';
import {
  Account,
  Block,
  BlockDetail,
  type BlockJson,
  Contract,
  HistoryEntry as HistorySchema,
  Period,
  Submitted,
  TpmEntry,
  Transaction,
  type TransactionJson,
  Tree,
} from '../schema/ledger.ts';

const TREE_DEPTH_MAX = 200;

/** What the cursors of the lists look like: keys of the index or of the state. */
const HEIGHT = /^\d{1,15}$/;
const HISTORY_KEY = /^\d{12}\.\d{6}[io]$/;

function blockId(text: string): BlockId {
  try {
    return parseHashId<BlockId>(text);
  } catch {
    throw new LedgerError('malformed', "expected a block's id of 64 hex digits, or its height");
  }
}

/** Reading the ledger is for everybody. */
export function ledgerRoutes(app: Console, node: BlocktreeNode): void {
  const { chain, ledger } = node;
  const { store } = chain;
  const anybody = { config: { role: 'anybody' as const } };

  const blockAt = (id: BlockId): BlockJson | undefined => {
    const header = chain.header(id);
    const bytes = chain.blockBytes(id);
    const count = bytes && transactionCountOf(bytes);
    return header && presentBlock(id, header, count, statusOf(id, header));
  };
  const statusOf = (id: BlockId, header: BlockHeader): BlockJson['status'] => {
    if (header.height <= chain.final.height) return store.idAt(header.height) === id ? 'final' : 'abandoned';
    return ledger.notarized().has(id) ? 'notarized' : 'proposed';
  };

  app.get(
    '/ledger/head',
    { ...anybody, schema: { tags: ['ledger'], response: { 200: Block } } },
    async () => blockAt(chain.final.id) as BlockJson,
  );

  app.get(
    '/ledger/blocks',
    { ...anybody, schema: { tags: ['ledger'], querystring: PageQuery, response: { 200: page(Block) } } },
    (request) =>
      pageOf(
        request.query,
        HEIGHT,
        async (after, limit) => {
          const top = Math.min(chain.final.height, after === undefined ? Infinity : Number(after) - 1);
          return Array.from({ length: Math.max(0, Math.min(limit, top + 1)) }, (_, i) => top - i);
        },
        String,
        (height) => {
          const id = store.idAt(height);
          return id === undefined ? undefined : blockAt(id);
        },
      ),
  );

  app.get(
    '/ledger/blocks/:idOrHeight',
    {
      ...anybody,
      schema: {
        tags: ['ledger'],
        params: T.Object({ idOrHeight: T.String({ maxLength: 64 }) }),
        response: { 200: BlockDetail },
      },
    },
    async (request) => {
      const { idOrHeight } = request.params;
      const id = /^\d{1,15}$/.test(idOrHeight) ? store.idAt(Number(idOrHeight)) : blockId(idOrHeight);
      const header = id === undefined ? undefined : chain.header(id);
      if (id === undefined || header === undefined) throw notFound(`block ${idOrHeight}`);
      const bytes = chain.blockBytes(id);
      // Thousands of transactions take their time: others are answered meanwhile.
      const transactions = bytes && (await inSteps(decodeBlockInSteps(bytes))).transactions;
      const status = statusOf(id, header);
      const at = status === 'final' ? header : undefined;
      const breather = new Breather();
      const presented: TransactionJson[] = [];
      for (const transaction of transactions ?? []) {
        if (breather.due) await breather.breathe();
        presented.push(presentTransaction(transaction, at));
      }
      return { ...presentBlock(id, header, transactions?.length, status), transactions: presented };
    },
  );

  app.get(
    '/ledger/tree',
    {
      ...anybody,
      schema: {
        tags: ['ledger'],
        querystring: T.Object({
          depth: T.Optional(T.Integer({ minimum: 1, maximum: TREE_DEPTH_MAX, default: 30 })),
        }),
        response: { 200: Tree },
      },
    },
    async (request) => {
      const { depth = 30 } = request.query;
      const { final } = chain;
      const ids = await store.idsBetween(Math.max(0, final.height - depth + 1), final.height);
      const blocks = ids.flatMap((id) => blockAt(id) ?? []);
      for (const { header, transactions } of chain.pending()) {
        const id = blockIdOf(header);
        blocks.push(presentBlock(id, header, transactions.length, statusOf(id, header)));
      }
      return { finalId: final.id, blocks };
    },
  );

  app.get(
    '/ledger/transactions/:id',
    {
      ...anybody,
      schema: { tags: ['ledger'], params: T.Object({ id: T.String() }), response: { 200: Transaction } },
    },
    async (request) => {
      const id = parseHashId<TransactionId>(request.params.id);
      const waiting = ledger.mempool.get(id);
      const place = store.index<TransactionPlace>(`tx/${id}`);
      const blockId = place === undefined ? undefined : store.idAt(place.height);
      if (place !== undefined && blockId !== undefined) {
        const bytes = store.blockBytes(blockId);
        const transaction = bytes && transactionAt(bytes, place.index);
        if (transaction !== undefined) return presentTransaction(transaction, store.header(blockId));
        throw new NodeError(
          'pruned',
          `the transaction is final in block ${place.height}, whose body is pruned here: ask a node that keeps all bodies`,
        );
      }
      if (waiting === undefined) throw notFound(`transaction ${id}`);
      return presentTransaction(waiting.transaction, undefined);
    },
  );

  app.post(
    '/ledger/transactions',
    {
      ...anybody,
      schema: {
        tags: ['ledger'],
        body: T.Object({ transaction: T.String({ maxLength: 131_072, description: 'signed bytes in hex' }) }),
        response: { 202: Submitted },
      },
    },
    async (request, reply) => {
      const bytes = fromHex(request.body.transaction);
      if (bytes === undefined)
        throw new LedgerError('malformed', 'expected the signed bytes of a transaction in hex');
      // What the next block would refuse for sure is refused here, with the reason; a later nonce has to wait and see.
      const offered = decodeTransaction(bytes);
      const [refusal] =
        offered.nonce === accountOf(chain.state, offered.sender).nonce ? tryOut(chain, [offered]) : [];
      if (refusal !== undefined) throw refusal;
      const transaction = ledger.submit(bytes);
      return reply.code(202).send({ id: transactionId(transaction) });
    },
  );

  const accountParams = T.Object({ id: T.String({ maxLength: 120 }) });
  app.get(
    '/ledger/accounts/:id',
    { ...anybody, schema: { tags: ['ledger'], params: accountParams, response: { 200: Account } } },
    async (request) => {
      const id = parseAccountAddress(request.params.id);
      const { balanceGrains, nonce } = accountOf(chain.state, id);
      return { accountId: accountAddress(id), balanceGrains: balanceGrains.toString(), nonce };
    },
  );

  app.get(
    '/ledger/accounts/:id/history',
    {
      ...anybody,
      schema: {
        tags: ['ledger'],
        params: accountParams,
        querystring: PageQuery,
        response: { 200: page(HistorySchema) },
      },
    },
    async (request) => {
      const id = parseAccountAddress(request.params.id);
      return pageOf(
        request.query,
        HISTORY_KEY,
        (after, limit) => store.indexRange<StoredHistory>(`history/${id}/`, { limit, reverse: true, after }),
        ({ key }) => key,
        ({ key, value }) => presentHistory(historyEntry(key, value)),
      );
    },
  );

  app.get(
    '/ledger/tpms/:ekId',
    {
      ...anybody,
      schema: { tags: ['ledger'], params: T.Object({ ekId: T.String() }), response: { 200: TpmEntry } },
    },
    async (request) => {
      const ekId = parseHashId<EkId>(request.params.ekId);
      const tpm = chain.state.read(TPMS, ekId);
      if (tpm === undefined) throw notFound(`claimed TPM ${ekId}`);
      return {
        ekId,
        ownerId: accountAddress(tpm.ownerId),
        nodeId: nodeAddress(tpm.nodeId),
        denominationGrains: tpm.denominationGrains.toString(),
        claimedHeight: tpm.claimedHeight,
      };
    },
  );

  app.get(
    '/ledger/contracts',
    {
      ...anybody,
      schema: {
        tags: ['ledger'],
        querystring: T.Object({
          ...PageQuery.properties,
          account: T.Optional(T.String({ maxLength: 120, description: 'only those of this renter or host' })),
          side: T.Optional(
            T.Union([T.Literal('renter'), T.Literal('host')], {
              description: 'on which the account must be',
            }),
          ),
        }),
        response: { 200: page(Contract) },
      },
    },
    async (request) => {
      const { account, side } = request.query;
      const id = account === undefined ? undefined : parseAccountAddress(account);
      return pageOfContracts(node, request.query, id, side);
    },
  );

  app.get(
    '/ledger/contracts/:id',
    {
      ...anybody,
      schema: { tags: ['ledger'], params: T.Object({ id: T.String() }), response: { 200: Contract } },
    },
    async (request) => {
      const contract = presentContract(node, parseHashId<ContractId>(request.params.id));
      if (contract === undefined) throw notFound(`contract ${request.params.id}`);
      return contract;
    },
  );

  app.get(
    '/ledger/periods/:n',
    {
      ...anybody,
      schema: {
        tags: ['ledger'],
        params: T.Object({ n: T.Integer({ minimum: 0 }) }),
        response: { 200: Period },
      },
    },
    async (request) => {
      const { n } = request.params;
      const entry = store.index<PeriodEntry>(`period/${sortable(n, 10)}`);
      if (entry === undefined) throw notFound(`period ${n} yet`);
      return {
        period: n,
        height: entry.height,
        startedAt: time(entry.startedMs),
        beacon: chain.state.read(BEACONS, String(n))?.beacon ?? null,
      };
    },
  );
}
