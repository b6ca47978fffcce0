import { type NodeId, nodeAddress } from '../../ledger/ids.ts';
import type { HostFault } from '../../market/renter/host-book.ts';
import { SNAPSHOT } from '../../market/renter/manifests.ts';
import type { BlocktreeNode } from '../node.ts';

export const SEVERITIES = ['info', 'warning', 'critical'] as const;

/** What is wrong now, and what to do. */
export interface AlertJson {
  readonly id: string;
  readonly severity: (typeof SEVERITIES)[number];
  readonly title: string;
  readonly whatToDo: string;
}

const FAULTS: Readonly<Record<HostFault, string>> = {
  lied: 'gave other data than it was given to keep',
  'lost-data': 'lost data that it was given to keep',
  silent: 'does not answer',
};

export async function alertsOf(node: BlocktreeNode): Promise<readonly AlertJson[]> {
  const { ledger, network, view, shelf, files, book, queue, chain, chip } = node;
  const alerts: AlertJson[] = [];
  const add = (id: string, severity: AlertJson['severity'], title: string, whatToDo: string): void => {
    alerts.push({ id, severity, title, whatToDo });
  };
  if (ledger.haltReason !== undefined) {
    add(
      'halted',
      'critical',
      `This node stopped taking part: ${ledger.haltReason}`,
      'Restart it. When it happens again, report it with the log.',
    );
  }
  if (ledger.isMember && ledger.franchise === 'abstaining') {
    add(
      'abstaining',
      'warning',
      'This node sits in the committee but may not vote until the epoch ends',
      'Its vote log is not the one it voted with: it was lost, or an older backup was restored. Nothing needs to be done.',
    );
  }
  const { twin } = network;
  if (twin !== undefined)
    add(
      'twin',
      'critical',
      `Another node runs with the keys of this one${twin.address === undefined ? '' : `, at ${twin.address}`}`,
      twin.refused
        ? 'Stop one of the two. Others refuse this one while the other runs, and it does not vote: two that sign with one key contradict each other, and that costs the bond and the TPM.'
        : 'Stop one of the two. Others refuse the second one while this one runs; should both vote, they contradict each other, and that costs the bond and the TPM.',
    );
  if (ledger.isStuck) {
    add(
      'stuck',
      'critical',
      `No peer has the blocks after ${chain.final.height} any more`,
      'Set ledger.snapshot-behind to another number than 0 in blocktree.toml and restart the node, or stop it and bring the blocks with "blocktree ledger import FILE".',
    );
  }
  if (network.peers().length === 0 && twin?.refused !== true) {
    add(
      'no-peers',
      'critical',
      'No other node is connected',
      'Check the network, the seeds in blocktree.toml, and that the link port is reachable.',
    );
  }
  if (chip === undefined) {
    add(
      'no-tpm',
      'warning',
      'This node goes without a TPM',
      'It reads the ledger, no more. To take part, set tpm.device in blocktree.toml and restore the account there.',
    );
  } else if (chain.store.row(`tpm/${chip.ekId}`) === undefined) {
    if ((await node.desk()).endorsement === undefined)
      add(
        'not-endorsed',
        'warning',
        'The TPM is not endorsed',
        'Ask an issuer on the wallet page, or with "blocktree tpm request"; then claim the chip.',
      );
    else
      add(
        'not-claimed',
        'info',
        'The TPM is not claimed yet',
        'Claim it on the wallet page: it brings the currency that comes with it.',
      );
  }
  if (shelf.limitBytes > 0 && shelf.usedBytes > shelf.limitBytes * 0.95) {
    add(
      'nearly-full',
      'warning',
      'The volumes are nearly full',
      'Add a volume or raise a limit, or new contracts go elsewhere.',
    );
  }
  const damaged = await node.host.damagedFragments();
  if (damaged > 0)
    add(
      'damaged',
      'critical',
      `${damaged} ${damaged === 1 ? 'fragment' : 'fragments'} that this host keeps cannot be read as stored`,
      'Check the disks, and that every volume is mounted. Periods that cannot be proven cost collateral.',
    );
  for (const { host, why, failedInARow, renting } of await book.troubles()) {
    const name = nodeAddress(host);
    add(
      `host/${name}`,
      renting ? 'warning' : 'info',
      `The host ${name} ${FAULTS[why]}${failedInARow > 1 ? `, ${failedInARow} audits in a row` : ''}`,
      renting
        ? 'Nothing: it gets no new fragments, and what it kept is rebuilt at other hosts when it does not come back.'
        : 'Nothing: its contract is over, and it gets no new one for a while.',
    );
  }
  for (const { kind, state, data, result } of queue.list())
    if (kind === 'renew' && state === 'failed' && data.period === view.period()) {
      const name = nodeAddress(data.host as NodeId);
      add(
        `renewal/${name}`,
        'warning',
        `The contract with the host ${name} could not be renewed: ${result}`,
        'It is tried again until the contract ends. Check that the balance covers what your files cost.',
      );
    }
  if (await files.isUnrecovered())
    add(
      'unrecovered',
      'critical',
      'This account pays for files that this data folder does not know',
      '"blocktree recover" finds them again with what the hosts have.',
    );
  else if (files.isOvertaken)
    add(
      'overtaken',
      'critical',
      'Hosts know a newer list of files than this data folder',
      'The account is used on another machine, too, or this data folder is an old copy: "blocktree recover" takes the newer list over.',
    );
  for await (const manifest of files.all()) {
    const { state, fragmentsAlive, fragmentsNeeded, fragmentsTotal } = files.health(manifest);
    const name = manifest.name === SNAPSHOT ? 'the list of files' : `"${manifest.name}"`;
    if (manifest.slabs.length === 0 || state === 'healthy') continue;
    const counts = `${fragmentsAlive} of ${fragmentsTotal} fragments are alive, ${fragmentsNeeded} are needed`;
    const repair = queue
      .list()
      .find(
        ({ kind, data, state: jobState }) =>
          kind === 'repair' && data.name === manifest.name && jobState === 'failed',
      );
    if (state === 'lost')
      add(
        `file/${manifest.name}`,
        'critical',
        `${name} cannot be read now: ${counts}`,
        'Wait for hosts to come back; keep another copy if you have one.',
      );
    else
      add(
        `file/${manifest.name}`,
        'warning',
        `${name} is being repaired: ${counts}`,
        repair?.result ?? 'Nothing: the missing fragments are rebuilt at other hosts.',
      );
  }
  return alerts;
}
