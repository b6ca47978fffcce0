import { useRef, useState } from 'preact/hooks';
import { call, fileUrl, type Page, refresh, type StoredFile, useEvents } from '../api.ts';
import { bytes } from '../format.ts';
import { Bar } from '../ui.tsx';

/** Files on their way to the network: dropped or chosen, one after the other. */

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

const TAKEN = 'There is a file of this name already.';

/** Whether there is a file of this name; when that cannot be learnt, the node decides at the end. */
async function isTaken(name: string): Promise<boolean> {
  const found = await call<Page<StoredFile>>('GET', `/files?name=${encodeURIComponent(name)}`).catch(
    () => undefined,
  );
  return (found?.items.length ?? 0) > 0;
}

export function Uploads() {
  const [uploads, setUploads] = useState<readonly Upload[]>([]);
  const [over, setOver] = useState(false);
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
  );
}
