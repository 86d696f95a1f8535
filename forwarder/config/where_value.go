package config

import (
	"time"

	"taxii-forwarder/forwarder/intel"
)

// kind is the type of an expression in a filter.
type kind uint8

const (
	kindInvalid kind = iota // already reported
	kindNull
	kindBool
	kindNumber
	kindText
	kindTLP // text that is a level
	kindTime
	kindList
)

// article returns the kind as in "this is …".
func (k kind) article() string {
	switch k {
	case kindNull:
		return "null"
	case kindBool:
		return "true or false"
	case kindNumber:
		return "a number"
	case kindText:
		return "text"
	case kindTLP:
		return "a TLP level"
	case kindTime:
		return "a time"
	case kindList:
		return "a list"
	}
	return "nothing"
}

// value is a compiled expression: the closure for its kind is set.
type value struct {
	kind  kind
	truth func(*intel.Indicator) bool
	num   func(*intel.Indicator) (v float64, present bool)
	text  func(*intel.Indicator) string    // "" = absent
	time  func(*intel.Indicator) time.Time // zero = absent
	list  *listValue

	constant bool   // the same for every indicator
	literal  string // the text of a constant kindText
	always   bool   // never absent
}

// listValue gives access to a list without building it.
type listValue struct {
	len func(*intel.Indicator) int
	at  func(*intel.Indicator, int) string
	// vocabulary are the only values that elements can have; nil = any text.
	vocabulary []string
	// constant are the elements where they are the same for every indicator.
	constant []string
}

func (l *listValue) has(ind *intel.Indicator, x string) bool {
	for i := range l.len(ind) {
		if l.at(ind, i) == x {
			return true
		}
	}
	return false
}

// distinct counts the distinct elements; lists are short.
func (l *listValue) distinct(ind *intel.Indicator) int {
	n := 0
next:
	for i := range l.len(ind) {
		for j := range i {
			if l.at(ind, i) == l.at(ind, j) {
				continue next
			}
		}
		n++
	}
	return n
}

// isText reports whether v can be used where text is wanted.
func (v value) isText() bool { return v.kind == kindText || v.kind == kindTLP }

func boolValue(f func(*intel.Indicator) bool) value {
	return value{kind: kindBool, truth: f, always: true}
}

func textValue(f func(*intel.Indicator) string) value { return value{kind: kindText, text: f} }

func constText(s string) value {
	return value{kind: kindText, text: func(*intel.Indicator) string { return s }, constant: true, literal: s, always: true}
}

func numValue(f func(*intel.Indicator) float64) value {
	return value{kind: kindNumber, always: true, num: func(i *intel.Indicator) (float64, bool) { return f(i), true }}
}

func timeValue(f func(*intel.Indicator) time.Time) value { return value{kind: kindTime, time: f} }

func listOf(f func(*intel.Indicator) []string) value {
	return value{kind: kindList, list: &listValue{
		len: func(i *intel.Indicator) int { return len(f(i)) },
		at:  func(i *intel.Indicator, n int) string { return f(i)[n] },
	}}
}

// attributes are what a filter sees of an indicator.
var attributes = map[string]value{
	"id":           {kind: kindText, always: true, text: func(i *intel.Indicator) string { return i.ID }},
	"type":         {kind: kindText, always: true, text: func(*intel.Indicator) string { return "indicator" }},
	"feed":         {kind: kindText, always: true, text: func(i *intel.Indicator) string { return i.Feed }},
	"name":         textValue(func(i *intel.Indicator) string { return i.Name }),
	"pattern_type": textValue(func(i *intel.Indicator) string { return i.PatternType }),
	"created_by":   textValue(func(i *intel.Indicator) string { return i.CreatedBy }),
	"collection":   textValue(func(i *intel.Indicator) string { return i.Collection }),
	"confidence": {kind: kindNumber, num: func(i *intel.Indicator) (float64, bool) {
		if i.Confidence == nil {
			return 0, false
		}
		return float64(*i.Confidence), true
	}},
	"tlp":             {kind: kindTLP, text: func(i *intel.Indicator) string { return string(i.TLP) }},
	"labels":          listOf(func(i *intel.Indicator) []string { return i.Labels }),
	"indicator_types": listOf(func(i *intel.Indicator) []string { return i.IndicatorTypes }),
	"observable_types": {kind: kindList, list: &listValue{
		len:        func(i *intel.Indicator) int { return len(i.Observables) },
		at:         func(i *intel.Indicator, n int) string { return string(i.Observables[n].Type) },
		vocabulary: observableTypes,
	}},
	"created":     timeValue(func(i *intel.Indicator) time.Time { return i.Created }),
	"modified":    timeValue(func(i *intel.Indicator) time.Time { return i.Modified }),
	"valid_until": timeValue(func(i *intel.Indicator) time.Time { return i.ValidUntil }),
	"revoked":     boolValue(func(i *intel.Indicator) bool { return i.Revoked }),
}

var observableTypes = []string{
	string(intel.TypeIPv4), string(intel.TypeIPv6), string(intel.TypeDomain), string(intel.TypeURL),
	string(intel.TypeFile), string(intel.TypeArtifact), string(intel.TypeDirectory), string(intel.TypeEmail),
	string(intel.TypeEmailMessage), string(intel.TypeRegistryKey), string(intel.TypeProcess),
	string(intel.TypeMutex), string(intel.TypeUserAccount), string(intel.TypeCertificate), string(intel.TypeASN),
	string(intel.TypeMAC), string(intel.TypeSoftware), string(intel.TypeUserAgent),
}

// absent returns a test for the absence of v.
func (v value) absent() func(*intel.Indicator) bool {
	switch {
	case v.kind == kindNull:
		return func(*intel.Indicator) bool { return true }
	case v.always:
		return func(*intel.Indicator) bool { return false }
	case v.kind == kindNumber:
		return func(i *intel.Indicator) bool { _, ok := v.num(i); return !ok }
	case v.kind == kindTime:
		return func(i *intel.Indicator) bool { return v.time(i).IsZero() }
	case v.kind == kindList:
		return func(i *intel.Indicator) bool { return v.list.len(i) == 0 }
	}
	return func(i *intel.Indicator) bool { return v.text(i) == "" }
}
