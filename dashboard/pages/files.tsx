import { useRef, useState } from 'preact/hooks';
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
import { Act, Badge, Bar, Card, Empty, Id, Show, Table } from '../ui.tsx';
import { Contracts } from './storage.tsx';

interface Upload {
  readonly file: File;
  readonly name: string;
  readonly size: number;
  sent: number;
  stored: number;
  error: string | undefined;
  /** A file of this name is there already; the owner decides. */
  taken: boolean;
}

/** Sends one file; `changed` hears of every step. Resolves when the network has it, or does not want it. */
function send(file: File, upload: Upload, overwrite: boolean, changed: () => void): Promise<void> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open('PUT', `${fileUrl(upload.name)}?overwrite=${overwrite}`);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.onprogress = (event) => {
      upload.sent = event.loaded;
      changed();
    };
    const fail = (text: string): void => {
      upload.error = text;
      changed();
      resolve();
    };
    request.onerror = () => fail('The node stopped answering.');
    request.onload = () => {
      if (request.status === 201) return resolve();
      try {
        const problem = JSON.parse(request.responseText) as { code: string; detail: string };
        upload.taken = problem.code === 'exists';
        fail(upload.taken ? TAKEN : problem.detail);
      } catch {
        fail(`The node answered ${request.status}.`);
      }
    };
    request.send(file);
  });
}

const DOTS_MAX = 12;
const TAKEN = 'There is a file of this name already.';
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

/** Whether there is a file of this name; when that cannot be learnt, the node decides at the end. */
async function isTaken(name: string): Promise<boolean> {
  const found = await call<Page<StoredFile>>('GET', `/files?name=${encodeURIComponent(name)}`).catch(
    () => undefined,
  );
  return (found?.items.length ?? 0) > 0;
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
  const [uploads, setUploads] = useState<readonly Upload[]>([]);
  const [over, setOver] = useState(false);
  const [confirming, setConfirming] = useState<string>();
  const input = useRef<HTMLInputElement>(null);

  useEvents((type, data) => {
    const event = data as { kind?: string; name?: string; sentBytes?: number };
    if (type !== 'job' || event.kind !== 'upload') return;
    setUploads((before) =>
      before.map((one) =>
        one.name === event.name ? Object.assign(one, { stored: event.sentBytes ?? one.stored }) : one,
      ),
    );
  });

  const put = async (file: File, overwrite: boolean): Promise<void> => {
    const upload: Upload = {
      file,
      name: file.name.normalize('NFC'),
      size: file.size,
      sent: 0,
      stored: 0,
      error: undefined,
      taken: false,
    };
    setUploads((before) => [...before.filter(({ name }) => name !== upload.name), upload]);
    // The node refuses it too, but only after the browser has begun to send.
    if (!overwrite && (await isTaken(upload.name))) {
      upload.taken = true;
      upload.error = TAKEN;
      setUploads((before) => [...before]);
      return;
    }
    await send(file, upload, overwrite, () => setUploads((before) => [...before]));
    if (upload.error === undefined) setUploads((before) => before.filter((one) => one !== upload));
    refresh('/files');
  };
  const add = async (list: readonly File[]): Promise<void> => {
    for (const file of list) await put(file, false);
  };
  const dismiss = (upload: Upload): void => setUploads((before) => before.filter((one) => one !== upload));

  return (
    <div class="grid">
      <section
        class={over ? 'card wide drop over' : 'card wide drop'}
        aria-label="Upload"
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void add([...(event.dataTransfer?.files ?? [])]);
        }}
      >
        <p>
          <strong>Drop files here</strong>, or{' '}
          <button type="button" class="link" onClick={() => input.current?.click()}>
            choose them
          </button>
          . They are encrypted on this machine before a byte leaves it.
        </p>
        <input
          ref={input}
          id="upload"
          type="file"
          multiple
          hidden
          onChange={(event) => {
            void add([...(event.currentTarget.files ?? [])]);
            // Else the browser sees no change when the same file is chosen again.
            event.currentTarget.value = '';
          }}
        />
        <div aria-live="polite">
          {uploads.map((one) => (
            <div key={one.name} class="upload">
              <strong>{one.name}</strong>
              {one.error === undefined ? (
                <>
                  <Bar
                    part={one.size === 0 ? 1 : Math.max(one.sent * 0.3, one.stored) / one.size}
                    label={`Upload of ${one.name}`}
                  />
                  <span class="note">
                    {one.stored >= one.size
                      ? 'waiting for the contracts to be final'
                      : `${bytes(one.stored)} of ${bytes(one.size)} at hosts`}
                  </span>
                </>
              ) : (
                <div class={one.taken ? 'asked' : 'failure'} role="alert">
                  <p>{one.error}</p>
                  <div class="row">
                    <button type="button" onClick={() => void put(one.file, one.taken)}>
                      {one.taken ? 'Replace it' : 'Try again'}
                    </button>
                    <button type="button" onClick={() => dismiss(one)}>
                      Leave it
                    </button>
                  </div>
                </div>
              )}
            </div>
          ))}
        </div>
      </section>
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
