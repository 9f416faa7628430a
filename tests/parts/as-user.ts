// Runs a test as if this process belonged to another user.

export async function asUser<T>(uid: number, use: () => Promise<T>): Promise<T> {
  const { getuid, getgid } = process;
  process.getuid = () => uid;
  process.getgid = () => uid;
  try {
    return await use();
  } finally {
    Object.assign(process, { getuid, getgid });
  }
}
