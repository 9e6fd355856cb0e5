import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Raised when what is kept changes its form, so that older caches are left alone. */
const FORM = "v1";

/** Folder outside the clone that keeps what was fetched; `VFMIG_E2E_CACHE` names another. */
export function cacheFolder(): string {
  const named = process.env["VFMIG_E2E_CACHE"];
  if (named !== undefined && named !== "") return join(named, FORM);
  const base = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(base, "vfmig-e2e", FORM);
}

/**
 * A folder of the cache, filled by `fill` if it is not there. It appears only once it is complete, so
 * a run that was cut short, or another run beside this one, leaves nothing half done.
 */
export async function kept(
  name: string,
  fill: (folder: string) => Promise<void>,
): Promise<{ readonly folder: string; readonly fetched: boolean }> {
  const cache = cacheFolder();
  const folder = join(cache, name);
  if (existsSync(folder)) return { folder, fetched: false };
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, `.${name}-`));
  try {
    await fill(work);
    await rename(work, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { folder, fetched: true };
}
