/** How many files, sockets among them, this process may have open; and how many sessions that leaves room for. */

/** Soft limit of open files (RLIMIT_NOFILE, which Node raises to the hard one as it starts); null where there is none. */
export function openFilesLimit(): number | null {
  // Looking up the names of all peers would take its time; the setting is younger than its type.
  Object.assign(process.report, { excludeNetwork: true });
  const report = process.report.getReport() as { userLimits?: { open_files?: { soft: number | 'unlimited' } } };
  const soft = report.userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : null;
}

/** Kept back for Redis, the store, listeners, REST and the refusal of sessions: a twentieth, at least this many. */
const RESERVE_MIN = 256;

/** Sessions that a process may hold: what is set, or what its open files allow if that is less. */
export function sessionLimit(setting: number, openFiles: number | null): number {
  if (openFiles === null) return setting;
  const reserve = Math.min(Math.max(RESERVE_MIN, Math.ceil(openFiles / 20)), Math.floor(openFiles / 2));
  return Math.min(setting, openFiles - reserve);
}
