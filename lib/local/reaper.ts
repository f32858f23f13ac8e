import type { ProcessId } from './process.ts'

/**
 * Ends what a test run has started when the run itself dies without a chance to do so (kill -9, a crash): a shell that
 * reads from a pipe, and whose end of file is the death of the run. It knows processes by pid and start time.
 */
const SCRIPT = `
trap '' INT TERM HUP
while read -r word pid ticks; do
  case $word in
    add) known="$known $pid:$ticks" ;;
    folder) folder=$pid ;;
    done) exit 0 ;;
  esac
done
for one in $known; do
  pid=\${one%%:*}
  set -- $(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null)
  [ "\${20}" = "\${one#*:}" ] && kill -9 "$pid"
done
sleep 0.5
[ -n "$folder" ] && rm -rf "$folder"
`

export interface Reaper {
  watch(id: ProcessId): void
  /** all that was watched is gone; the folder is left to the caller */
  dismiss(): void
}

/** `folder` is deleted too when the run dies. */
export function startReaper(folder: string): Reaper {
  const shell = Bun.spawn(['sh', '-c', SCRIPT], {
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    detached: true,
  })
  shell.unref()
  const say = (line: string) => {
    shell.stdin.write(`${line}\n`)
    shell.stdin.flush()
  }
  say(`folder ${folder}`)
  return {
    watch: ({ pid, startedAt }) => say(`add ${pid} ${startedAt.split('/')[1] ?? ''}`),
    dismiss: () => say('done'),
  }
}
