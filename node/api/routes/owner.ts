import { isAbsolute } from 'node:path';
import { Type as T } from 'typebox';
import { grains } from '../../../ledger/grains.ts';
import { accountAddress, nodeAddress, parseAccountAddress } from '../../../ledger/ids.ts';
import { priceAt } from '../../../ledger/state/contract-terms.ts';
import { accountOf } from '../../../ledger/state/draft.ts';
import { MarketError } from '../../../market/errors.ts';
import { SETTINGS, type SettingName } from '../../config/settings.ts';
import type { EarningSums, PeriodEntry } from '../../ledger/store/ledger-index.ts';
import type { BlocktreeNode } from '../../node.ts';
import { alertsOf } from '../alerts.ts';
import type { Console } from '../console.ts';
import { pageOfContracts } from '../contract-pages.ts';
import { presentOffer, presentSums, time } from '../present.ts';
import { ApiError, notFound } from '../problem.ts';
import { PageQuery, page, Sent } from '../schema/basics.ts';
import { Contract, Offer } from '../schema/ledger.ts';
import { Audit, Earnings, NewVolume, Transfer, Volume, VolumeChange, WalletStatus } from '../schema/owner.ts';
import { Alert, Job, Peer, SettingEntry } from '../schema/status.ts';

const MONTH_MS = 30 * 24 * 3_600_000;
const PERIODS_SHOWN = 10_000;
const CONTRACTS_SHOWN = 10_000;

/** What is the owner's: money, machine, upkeep. */
export function ownerRoutes(app: Console, node: BlocktreeNode): void {
  const { chain, wallet, shelf } = node;
  const { accountId } = node.keys;
  const viewer = { config: { role: 'viewer' as const } };
  const operator = { config: { role: 'operator' as const } };
  const owner = { config: { role: 'owner' as const } };
  const spends = { config: { role: 'owner' as const, idempotent: true } };

  // ---- wallet

  app.get(
    '/wallet',
    { ...viewer, schema: { tags: ['wallet'], response: { 200: WalletStatus } } },
    async () => {
      const { balanceGrains, nonce } = accountOf(chain.state, accountId);
      return {
        accountId: accountAddress(accountId),
        balanceGrains: balanceGrains.toString(),
        nonce,
        waiting: wallet.waiting,
      };
    },
  );
  app.post(
    '/wallet/transfers',
    { ...spends, schema: { tags: ['wallet'], body: Transfer, response: { 200: Sent } } },
    (request) => {
      const { to, amountGrains, memo = '' } = request.body;
      return wallet.submit({
        kind: 'transfer',
        to: parseAccountAddress(to),
        amountGrains: grains(BigInt(amountGrains)),
        memo,
      });
    },
  );

  // ---- host

  const offerNow = () => {
    const offer = node.view.ownOffer();
    return { offer: offer === undefined ? null : presentOffer(offer) };
  };
  const OfferStatus = T.Object({ offer: T.Union([Offer, T.Null()]) });
  app.get(
    '/host/offer',
    { ...viewer, schema: { tags: ['host'], response: { 200: OfferStatus } } },
    async () => offerNow(),
  );
  app.put(
    '/host/offer',
    {
      ...owner,
      schema: {
        tags: ['host'],
        description: 'Announces an offer on the ledger; null takes it back: contracts that live go on.',
        body: T.Object({ offer: T.Union([T.Omit(Offer, ['freeBytes']), T.Null()]) }),
        response: { 200: OfferStatus },
      },
    },
    async (request) => {
      const { offer } = request.body;
      if (offer === null) await node.store.write([{ key: 'offer-withdrawn', value: new Uint8Array(0) }]);
      await node.announce(
        offer === null
          ? undefined
          : {
              ...offer,
              priceGrainsPerGiBPeriod: grains(BigInt(offer.priceGrainsPerGiBPeriod)),
              egressGrainsPerGiB: grains(BigInt(offer.egressGrainsPerGiB)),
              freeBytes: Math.max(0, shelf.limitBytes - shelf.usedBytes),
            },
      );
      // Only an offer that was accepted ends a withdrawal: a refused one changes nothing.
      if (offer !== null) await node.store.write([{ key: 'offer-withdrawn', value: undefined }]);
      return offerNow();
    },
  );

  app.get(
    '/host/volumes',
    { ...viewer, schema: { tags: ['host'], response: { 200: page(Volume) } } },
    async () => ({ items: [...shelf.volumes()], nextCursor: null }),
  );
  app.post(
    '/host/volumes',
    { ...operator, schema: { tags: ['host'], body: NewVolume, response: { 201: Volume } } },
    async (request, reply) => {
      const { folder, limitBytes } = request.body;
      if (!isAbsolute(folder))
        throw new ApiError(400, 'bad-request', 'expected the absolute path of a folder');
      const { id } = await shelf.addVolume(folder, limitBytes);
      return reply.code(201).send(shelf.volumes().find((volume) => volume.id === id) as never);
    },
  );
  const volumeParams = T.Object({ id: T.String({ maxLength: 40 }) });
  app.patch(
    '/host/volumes/:id',
    {
      ...operator,
      schema: { tags: ['host'], params: volumeParams, body: VolumeChange, response: { 200: Volume } },
    },
    async (request) => {
      const { id } = request.params;
      if (request.body.limitBytes !== undefined) await shelf.resizeVolume(id, request.body.limitBytes);
      if (request.body.draining === true) await shelf.drainVolume(id);
      const volume = shelf.volumes().find((one) => one.id === id);
      if (volume === undefined) throw new MarketError('unknown-volume', `there is no volume ${id}`);
      return volume;
    },
  );
  app.delete(
    '/host/volumes/:id',
    { ...operator, schema: { tags: ['host'], params: volumeParams, response: { 204: T.Null() } } },
    async (request, reply) => {
      await shelf.removeVolume(request.params.id);
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/host/contracts',
    { ...viewer, schema: { tags: ['host'], querystring: PageQuery, response: { 200: page(Contract) } } },
    (request) => pageOfContracts(node, request.query, accountId, 'host'),
  );
  app.get(
    '/host/earnings',
    { ...viewer, schema: { tags: ['host'], response: { 200: Earnings } } },
    async () => {
      const { store } = chain;
      const periods = await store.indexRange<EarningSums>(`earned-period/${accountId}/`, {
        limit: PERIODS_SHOWN,
        reverse: true,
      });
      const contracts = await store.indexRange<EarningSums>(`earned-contract/${accountId}/`, {
        limit: CONTRACTS_SHOWN,
      });
      const perPeriod = (await node.view.contractsOf('host')).reduce(
        (sum, { contract }) => sum + priceAt(contract, contract.nextPeriod),
        0n,
      );
      const periodsPerMonth = BigInt(Math.max(1, Math.floor(MONTH_MS / chain.rules.parameters.periodMs)));
      return {
        ...presentSums(store.index<EarningSums>(`earned/${accountId}`)),
        projectedMonthGrains: (perPeriod * periodsPerMonth).toString(),
        byPeriod: [...periods].reverse().map(({ key, value }) => {
          // Period 0 began with the chain, before its first block.
          const started = key.startsWith('0000000000')
            ? chain.genesis.timestampMs
            : store.index<PeriodEntry>(`period/${key}`)?.startedMs;
          return {
            period: Number(key),
            startedAt: started === undefined ? null : time(started),
            ...presentSums(value),
          };
        }),
        byContract: contracts.map(({ key, value }) => ({ contractId: key, ...presentSums(value) })),
      };
    },
  );
  app.get(
    '/host/audits',
    {
      ...viewer,
      schema: {
        tags: ['host'],
        description: 'Audits that this node did of its hosts, newest first.',
        response: { 200: page(Audit) },
      },
    },
    async () => ({
      items: node.scheduler.audits().map(({ host, atMs, latencyMs, reason, ...rest }) => ({
        ...rest,
        hostNodeId: nodeAddress(host),
        at: time(atMs),
        latencyMs: Math.round(latencyMs),
        reason: reason ?? null,
      })),
      nextCursor: null,
    }),
  );

  // ---- upkeep

  const presentJob = (record: ReturnType<typeof node.queue.list>[number]) => ({
    id: record.id,
    kind: record.kind,
    state: record.state,
    attempts: record.attempts,
    finishedAt: record.finishedMs === undefined ? null : time(record.finishedMs),
    result: record.result ?? null,
  });
  app.get('/jobs', { ...viewer, schema: { tags: ['upkeep'], response: { 200: page(Job) } } }, async () => ({
    items: node.queue.list().map(presentJob),
    nextCursor: null,
  }));
  app.get(
    '/jobs/*',
    {
      ...viewer,
      schema: {
        tags: ['upkeep'],
        params: T.Object({ '*': T.String({ maxLength: 1_200 }) }),
        response: { 200: Job },
      },
    },
    async (request) => {
      const record = node.queue.list().find(({ id }) => id === request.params['*']);
      if (record === undefined) throw notFound(`job ${request.params['*']}`);
      return presentJob(record);
    },
  );
  app.get('/peers', { ...viewer, schema: { tags: ['upkeep'], response: { 200: page(Peer) } } }, async () => ({
    items: node.network.peers().map(({ nodeId, connectedMs, roundTripMs, ...rest }) => ({
      ...rest,
      nodeId: nodeAddress(nodeId),
      connectedAt: time(connectedMs),
      roundTripMs: roundTripMs ?? null,
    })),
    nextCursor: null,
  }));
  app.get(
    '/alerts',
    { ...viewer, schema: { tags: ['upkeep'], response: { 200: page(Alert) } } },
    async () => ({ items: [...(await alertsOf(node))], nextCursor: null }),
  );
  app.get(
    '/settings',
    {
      ...operator,
      schema: {
        tags: ['upkeep'],
        description:
          'The settings in force since the start; "blocktree config set" changes them for the next.',
        response: { 200: page(SettingEntry) },
      },
    },
    async () => {
      const { settings } = node.options;
      const items = (Object.keys(SETTINGS) as SettingName[]).map((name) => ({
        name,
        value: String(settings[name]),
        isDefault: String(settings[name]) === String(SETTINGS[name].fallback),
        help: SETTINGS[name].help,
      }));
      return { items, nextCursor: null };
    },
  );
}
