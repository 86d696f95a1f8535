//go:build race

package e2e

// slowness is that of the race detector, above all within the database.
const slowness = 6
