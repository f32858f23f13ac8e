/**
 * How rare so many deviations are where the noise is a bell curve, and `looks` quantities are looked at for every reading:
 * looks · 2 · (1 − Φ(z)), at most 1. Nobody has seen enough readings to claim more than one in a thousand million.
 */
export function bellRarity(z: number, looks: number): number {
  return Math.min(1, Math.max(1e-9, looks * 2 * above(z)))
}

/** 1 − Φ(z) by its continued fraction (Laplace), to five digits for z ≥ 2; below that nothing is rare, and it says ½. */
function above(z: number): number {
  if (!(z >= 2)) return 0.5
  let fraction = z
  for (let k = 24; k > 0; k--) fraction = z + k / fraction
  return Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI) / fraction
}
