import { type NetworkNode, type Page, type Peer, useApi } from '../api.ts';
import { bytes, latency } from '../format.ts';
import { Amount, Badge, Bar, Card, Empty, Id, Show, Table } from '../ui.tsx';

/** The nodes on the ledger: how they are linked, what they offer, and why placement ranks them as it does. */

const FACTOR_NAMES: Readonly<Record<string, string>> = { latencyMs: 'latency' };

function Link({ node, peer }: { node: NetworkNode; peer: Peer | undefined }) {
  if (node.self) return <Badge tone="quiet">this node</Badge>;
  if (!node.connected) return <Badge tone="warn">away</Badge>;
  return (
    <>
      <Badge tone="good">connected</Badge>
      {peer !== undefined && (
        <div class="note">
          {bytes(peer.bytesIn)} in, {bytes(peer.bytesOut)} out
          {peer.roundTripMs !== null && `, ${latency(peer.roundTripMs)}`}
        </div>
      )}
    </>
  );
}

function Offered({ offer }: { offer: NetworkNode['offer'] }) {
  if (offer === null) return <span class="note">takes no new contracts</span>;
  return (
    <>
      <Amount grains={offer.priceGrainsPerGiBPeriod} />
      <div class="note">
        egress <Amount grains={offer.egressGrainsPerGiB} /> a GiB, {bytes(offer.freeBytes)} free when
        announced
      </div>
    </>
  );
}

function Score({ node }: { node: NetworkNode }) {
  if (node.score === null || node.self) return <>–</>;
  const factors = Object.entries(node.scoreFactors ?? {});
  return (
    <>
      <Bar part={node.score} label={`Score ${node.score.toFixed(2)}`} />
      {factors.length === 0 ? (
        <span class="note">{node.score.toFixed(2)}</span>
      ) : (
        <details class="why">
          <summary aria-label={`Why the score is ${node.score.toFixed(2)}`}>{node.score.toFixed(2)}</summary>
          <ul class="plain note">
            {factors.map(([name, value]) => (
              <li key={name}>
                {FACTOR_NAMES[name] ?? name} {value.toFixed(2)}
              </li>
            ))}
          </ul>
        </details>
      )}
      {node.suspended !== null && <p class="note">No new fragments: {node.suspended}</p>}
    </>
  );
}

export function Network() {
  const nodes = useApi<Page<NetworkNode>>('/ledger/nodes?limit=200', ['peer', 'audit', 'block']);
  const peers = useApi<Page<Peer>>('/peers', ['peer', 'block']);
  const peerOf = new Map(peers.data?.items.map((peer) => [peer.nodeId, peer]));
  return (
    <Card title="Nodes" wide>
      <Show from={nodes}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No nodes on the ledger yet">A node stands here once its chip is claimed.</Empty>
          ) : (
            <Table label="Nodes" head={['Node', 'Link', 'Owner', 'Price a GiB and period', 'Score']}>
              {items.map((node) => (
                <tr key={node.nodeId}>
                  <td>
                    <Id id={node.nodeId} />
                    {node.committeeMember && <div class="note">committee</div>}
                  </td>
                  <td>
                    <Link node={node} peer={peerOf.get(node.nodeId)} />
                  </td>
                  <td>
                    <Id id={node.ownerId} kind="account" />
                  </td>
                  <td>
                    <Offered offer={node.offer} />
                  </td>
                  <td class="score">
                    <Score node={node} />
                  </td>
                </tr>
              ))}
            </Table>
          )
        }
      </Show>
    </Card>
  );
}
