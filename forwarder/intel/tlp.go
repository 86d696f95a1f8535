package intel

// TLP is a Traffic Light Protocol level in lower case; "" = unmarked. TLP 1's
// white reads as clear, which TLP 2 renamed it to.
type TLP string

// The levels of TLP 2 (https://www.first.org/tlp/), from open to closed.
const (
	TLPNone        TLP = ""
	TLPClear       TLP = "clear"
	TLPGreen       TLP = "green"
	TLPAmber       TLP = "amber"
	TLPAmberStrict TLP = "amber+strict"
	TLPRed         TLP = "red"
)

// Rank orders the levels: unmarked 0, clear 1, … red 5.
func (t TLP) Rank() int {
	switch t {
	case TLPClear:
		return 1
	case TLPGreen:
		return 2
	case TLPAmber:
		return 3
	case TLPAmberStrict:
		return 4
	case TLPRed:
		return 5
	}
	return 0
}

// Stricter returns the more restrictive of two levels.
func (t TLP) Stricter(u TLP) TLP {
	if u.Rank() > t.Rank() {
		return u
	}
	return t
}
