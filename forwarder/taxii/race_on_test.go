//go:build race

package taxii

const raceDetector = true
