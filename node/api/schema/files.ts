import { Type as T } from 'typebox';
import { count, HexHash, NodeAddress, open, Time } from './basics.ts';

/** Files that are stored on the network. */

export const Health = T.Object(
  {
    state: T.Union([T.Literal('healthy'), T.Literal('degraded'), T.Literal('lost')]),
    fragmentsAlive: T.Integer(),
    fragmentsNeeded: T.Integer(),
    fragmentsTotal: T.Integer(),
  },
  open,
);
export const File = T.Object(
  {
    name: T.String(),
    sizeBytes: count(''),
    createdAt: Time,
    sha256: HexHash,
    redundancy: T.Object({ data: T.Integer(), parity: T.Integer(), weak: T.Boolean() }, open),
    storedBytes: count('at hosts, parity included'),
    shareOfCost: T.Number({
      description: 'its part of all that is stored at hosts, who are paid by size; 0 to 1',
    }),
    health: Health,
  },
  open,
);
export const FileHealth = T.Object(
  {
    ...Health.properties,
    hosts: T.Array(T.Object({ nodeId: NodeAddress, fragments: T.Integer(), alive: T.Boolean() }, open)),
  },
  open,
);

export const Recovery = T.Object(
  {
    files: count('files that are here now'),
    added: count('of these, files that were not here before'),
    hosts: count('hosts of live contracts of this account'),
    silent: T.Array(NodeAddress, {
      description:
        'of these, the ones that have not answered; they are asked again, and nothing is taken out of contracts until then',
    }),
  },
  open,
);
