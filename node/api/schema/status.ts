import { Type as T } from 'typebox';
import {
  AccountAddress,
  count,
  GrainsText,
  HexHash,
  NodeAddress,
  nullable,
  open,
  Time,
  text,
} from './basics.ts';

/** How the node is, and what it does. */

export const Status = T.Object(
  {
    version: T.String(),
    chainId: HexHash,
    chainName: T.String(),
    chainKind: T.Union([T.Literal('public'), T.Literal('dev')]),
    nodeId: NodeAddress,
    accountId: AccountAddress,
    height: count('of the newest final block'),
    finalizedAt: nullable(Time),
    finalityMs: nullable(
      T.Number({ description: 'median of late blocks, from their timestamp to finality here' }),
    ),
    epoch: count('consensus epoch'),
    view: count('consensus view'),
    period: count('ledger period'),
    periodMs: count('length of a period'),
    periodStartedAt: Time,
    committee: T.Object({ size: T.Integer(), quorum: T.Integer(), member: T.Boolean() }, open),
    peerCount: count('connected nodes'),
    uptimeMs: count('since this process started'),
    storage: T.Object({ offeredBytes: count(''), usedBytes: count('') }, open),
    catchingUpTo: nullable(count('height, while the node catches up')),
    halted: nullable(text('why this node stopped taking part')),
  },
  open,
);

/** This node's place among those whom committees are drawn from. */
export const Seat = T.Object(
  {
    inPool: T.Boolean(),
    member: T.Boolean({ description: 'of the committee that votes now' }),
    voting: T.Boolean({
      description: 'false for a member that may not vote or still asks what it signed before',
    }),
    bondGrains: GrainsText,
    renewedAt: nullable(Time),
    leftAt: nullable(Time),
    convicted: T.Boolean({ description: 'of contradicting votes: it takes part no more' }),
  },
  open,
);

export const Job = T.Object(
  {
    id: T.String(),
    kind: T.String(),
    state: T.Union([T.Literal('waiting'), T.Literal('running'), T.Literal('done'), T.Literal('failed')]),
    attempts: T.Integer(),
    finishedAt: nullable(Time),
    result: nullable(T.String()),
  },
  open,
);
export const Peer = T.Object(
  {
    nodeId: NodeAddress,
    address: T.String(),
    direction: T.Union([T.Literal('inbound'), T.Literal('outbound')]),
    connectedAt: Time,
    bytesIn: T.Integer(),
    bytesOut: T.Integer(),
    roundTripMs: nullable(T.Number()),
  },
  open,
);
export const Alert = T.Object(
  {
    id: T.String(),
    severity: T.Union([T.Literal('info'), T.Literal('warning'), T.Literal('critical')]),
    title: T.String(),
    whatToDo: T.String(),
  },
  open,
);

export const SettingEntry = T.Object(
  {
    name: T.String(),
    value: text('as a flag would be given'),
    isDefault: T.Boolean(),
    help: T.String(),
  },
  open,
);
