//go:build !race

package e2e

// slowness is how many times longer the forwarder takes for its work than in
// production; polls and looks at the status are spaced accordingly.
const slowness = 1
