package config

import "strings"

// suggest returns the name nearest to the given one, or "" when none is near
// enough to be what was meant.
func suggest(given string, names []string) string {
	best, at := "", max(2, len(given)/3)+1
	for _, n := range names {
		if len(given) > 2 && strings.HasPrefix(n, given) {
			return n
		}
		if d := distance(strings.ToLower(given), strings.ToLower(n)); d < at {
			best, at = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two short strings.
func distance(a, b string) int {
	const long = 64
	if len(a) > long || len(b) > long {
		return long
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// didYouMean is a sentence with the nearest of the names, or all of them.
func didYouMean(given string, names []string) string {
	if s := suggest(given, names); s != "" {
		return "did you mean " + s + "?"
	}
	if len(names) == 0 {
		return "there is none"
	}
	return "there " + isAre(len(names)) + " " + strings.Join(names, ", ")
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
