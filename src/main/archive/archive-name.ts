/** 16 digits, so that ids compare as text. */
export function hexId(id: bigint): string {
  return id.toString(16).padStart(16, '0');
}

export function archiveName(logId: bigint, branch: bigint, number: number): string {
  return `${hexId(logId)}-${hexId(branch)}-wal-${number}`;
}
