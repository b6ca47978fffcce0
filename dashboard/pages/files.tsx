import { useState } from 'preact/hooks';
import {
  type Contract,
  call,
  fileUrl,
  type Job,
  type Page,
  refresh,
  type StoredFile,
  type StoredFileHealth,
  useApi,
  useEvents,
} from '../api.ts';
import { bytes, dateTime } from '../format.ts';
import { Paged } from '../paged.tsx';
import { Act, Badge, Card, Empty, Id, Show, Table } from '../ui.tsx';
import { Contracts } from './contracts.tsx';
import { Uploads } from './uploads.tsx';

const DOTS_MAX = 12;
const HEALTH = { healthy: 'good', degraded: 'warn', lost: 'bad' } as const;

const REPAIR_TONES = { done: 'good', failed: 'bad', running: 'warn', waiting: 'warn' } as const;

/** What was moved to other hosts because one had lost it; nothing at all while nothing was. */
function Repairs() {
  const jobs = useApi<Page<Job>>('/jobs', []);
  useEvents((type, data) => {
    if (type === 'job' && (data as { kind?: string }).kind === 'repair') jobs.reload();
  });
  const repairs = jobs.data?.items.filter(({ kind }) => kind === 'repair') ?? [];
  if (repairs.length === 0) return null;
  return (
    <Card title="Repairs" wide>
      <Table label="Repairs" head={['File', 'State', 'What happened', 'When']}>
        {repairs.map((job) => (
          <tr key={job.id}>
            <td class="path">{job.id.split('/').slice(1, -1).join('/')}</td>
            <td>
              <Badge tone={REPAIR_TONES[job.state]}>{job.state}</Badge>
            </td>
            <td>{job.result ?? '–'}</td>
            <td>{job.finishedAt === null ? '–' : dateTime(job.finishedAt)}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

/** A file's part of what hosts are paid. */
function share(part: number): string {
  return part > 0 && part < 0.001 ? 'under 0.1 %' : `${(100 * part).toFixed(1)} %`;
}

/** The hosts of a file, asked for only when somebody wants to know. */
function Where({ name }: { name: string }) {
  const [open, setOpen] = useState(false);
  const health = useApi<StoredFileHealth>(
    open ? `${fileUrl(name).replace('/api/v1', '')}/health` : undefined,
    ['audit', 'peer'],
  );
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary aria-label={`Where ${name} lies`}>Where</summary>
      {open && (
        <Show from={health}>
          {({ hosts }) => (
            <ul class="plain note">
              {hosts.map((host) => (
                <li key={host.nodeId}>
                  <Id id={host.nodeId} /> {host.fragments} {host.fragments === 1 ? 'fragment' : 'fragments'},{' '}
                  {host.alive ? 'alive' : 'gone'}
                </li>
              ))}
            </ul>
          )}
        </Show>
      )}
    </details>
  );
}

export function Files() {
  const wallet = useApi<{ accountId: string }>('/wallet', []);
  const [confirming, setConfirming] = useState<string>();
  return (
    <div class="grid">
      <Uploads />
      <Card title="Files" wide>
        <Paged<StoredFile> path="/files?limit=25" name="files" refreshOn={['audit', 'job']}>
          {(items) =>
            items.length === 0 ? (
              <Empty title="No files yet">
                What you store here is cut into fragments on several hosts; any few of them bring it back.
              </Empty>
            ) : (
              <Table label="Files" head={['Name', 'Size', 'Fragments alive', 'Share of cost', 'Stored', '']}>
                {items.map((file) => (
                  <tr key={file.name}>
                    <td class="path">
                      <a href={fileUrl(file.name)} download={file.name.split('/').at(-1)}>
                        {file.name}
                      </a>
                    </td>
                    <td class="whole">{bytes(file.sizeBytes)}</td>
                    <td>
                      <span class={`fragments ${HEALTH[file.health.state]}`} aria-hidden="true">
                        {Array.from(
                          { length: Math.min(DOTS_MAX, file.health.fragmentsTotal) },
                          (_, i) => i < file.health.fragmentsAlive,
                        ).map((alive, i) => (
                          <i key={i} class={alive ? 'alive' : 'gone'} />
                        ))}
                      </span>{' '}
                      <Badge tone={HEALTH[file.health.state]}>
                        {file.health.fragmentsAlive} of {file.health.fragmentsTotal},{' '}
                        {file.health.fragmentsNeeded} needed
                      </Badge>
                      <Where name={file.name} />
                    </td>
                    <td title={`${bytes(file.storedBytes)} at hosts`}>{share(file.shareOfCost)}</td>
                    <td class="whole">{dateTime(file.createdAt)}</td>
                    <td class="actions">
                      {confirming === file.name ? (
                        <span class="row">
                          <Act
                            danger
                            label="Delete for good"
                            run={() =>
                              call('DELETE', fileUrl(file.name).replace('/api/v1', '')).then(() =>
                                refresh('/files'),
                              )
                            }
                          />
                          <button type="button" onClick={() => setConfirming(undefined)}>
                            Keep
                          </button>
                        </span>
                      ) : (
                        <button
                          type="button"
                          aria-label={`Delete ${file.name}`}
                          onClick={() => setConfirming(file.name)}
                        >
                          Delete
                        </button>
                      )}
                    </td>
                  </tr>
                ))}
              </Table>
            )
          }
        </Paged>
      </Card>
      <Repairs />
      <Card title="Contracts that I pay for" wide>
        <Paged<Contract>
          path={wallet.data && `/ledger/contracts?account=${wallet.data.accountId}&side=renter&limit=15`}
          name="contracts"
        >
          {(items) => <Contracts items={items} side="renter" />}
        </Paged>
      </Card>
    </div>
  );
}
