/** Who is due next: a binary heap over fixed members 0 … n − 1; at equal times the lower number is first. */
export interface Queue {
  first(): number
  /** when the first is due; Infinity without members */
  time(): number
  /** the first has been served and is due again then */
  replaceFirst(time: number): void
}

export function createQueue(times: readonly number[]): Queue {
  const order = times.map((_, member) => member)
  order.sort((a, b) => at(times, a) - at(times, b) || a - b)
  const heap = Int32Array.from(order) // a sorted list is a heap
  const due = Float64Array.from(times)
  const before = (a: number, b: number) => at(due, a) < at(due, b) || (at(due, a) === at(due, b) && a < b)
  return {
    first: () => at(heap, 0),
    time: () => (heap.length > 0 ? at(due, at(heap, 0)) : Infinity),
    replaceFirst(time) {
      const member = at(heap, 0)
      due[member] = time
      let hole = 0
      for (;;) {
        let child = 2 * hole + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && before(at(heap, child + 1), at(heap, child))) child++
        if (!before(at(heap, child), member)) break
        heap[hole] = at(heap, child)
        hole = child
      }
      heap[hole] = member
    },
  }
}

/** The index is in range by construction. */
function at(values: ArrayLike<number>, index: number): number {
  return values[index] as number
}
