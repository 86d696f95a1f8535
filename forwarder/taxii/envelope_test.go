package taxii

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// read reads an envelope and describes what came.
func readAll(r io.Reader, maxObject int) (env envelope, objects, broken []string, err error) {
	env, _, err = readEnvelope(r, maxObject,
		func(raw []byte) error { objects = append(objects, string(raw)); return nil },
		func(why string, _ []byte) error { broken = append(broken, why); return nil })
	return env, objects, broken, err
}

func TestEnvelope(t *testing.T) {
	a, b := `{"type":"indicator","id":"a"}`, `{"type":"indicator","id":"b","name":"] } , \" \\"}`
	for _, tt := range []struct {
		name, body string
		objects    []string
		more       said
		next       string
		broken     int
		problem    string
		err        error
	}{
		{name: "nothing", body: ""},
		{name: "white space", body: " \r\n"},
		{name: "byte order mark alone", body: "\xEF\xBB\xBF"},
		{name: "empty", body: "{}"},
		{name: "envelope", body: `{"more":true,"next":"n","objects":[` + a + `,` + b + `]}`, objects: []string{a, b}, more: yes, next: "n"},
		{name: "objects first", body: `{"objects":[` + a + `],"next":"n","more":true}`, objects: []string{a}, more: yes, next: "n"},
		{name: "bundle", body: `{"type":"bundle","id":"bundle--1","objects":[` + a + `]}`, objects: []string{a}},
		{name: "byte order mark", body: "\xEF\xBB\xBF" + `{"objects":[` + a + `]}`, objects: []string{a}},
		{name: "spaces", body: " {\n \"objects\" : [ " + a + " ,\t" + b + " ] , \"more\" : false } \n", objects: []string{a, b}, more: no},
		{name: "null objects", body: `{"objects":null,"more":false}`, more: no},
		{name: "one object without a list", body: `{"objects":` + a + `}`, objects: []string{a}},
		{name: "items", body: `{"items":[` + a + `]}`, objects: []string{a}},
		{name: "null next", body: `{"more":true,"next":null}`, more: yes},
		{name: "empty next", body: `{"more":true,"next":""}`, more: yes},
		{name: "numeric next", body: `{"more":true,"next":12}`, more: yes, next: "12"},
		{name: "odd next", body: `{"more":true,"next":"2024-01-15 10:30:45|12\u0033"}`, more: yes, next: "2024-01-15 10:30:45|123"},
		{name: "next is an object", body: `{"more":true,"next":{"a":1}}`, more: yes},
		{name: "more as text", body: `{"more":"true"}`, more: yes},
		{name: "null more", body: `{"more":null}`},
		{name: "unknown members", body: `{"x":{"objects":[1,"}"]},"objects":[` + a + `],"y":[[[]]]}`, objects: []string{a}},
		{name: "broken neighbours", body: `{"objects":[null,` + a + `,17,"x",[{}],{"a":},{"b" 1},true,` + b + `,]}`, objects: []string{a, b}, broken: 7},
		{name: "bad bytes in a string", body: "{\"objects\":[{\"id\":\"\xff\"}]}", objects: []string{"{\"id\":\"\xff\"}"}},
		{name: "trailing rubbish", body: `{"objects":[` + a + `]} trailing`, objects: []string{a}},
		{name: "error in a 200", body: `{"error":{"code":"E1","message":"no plan"}}`, problem: "E1: no plan"},
		{name: "TAXII error in a 200", body: `{"title":"nope","http_status":"403"}`, problem: "nope"},
		{name: "cut in an object", body: `{"objects":[` + a + `,{"id":`, objects: []string{a}, err: errShort},
		{name: "cut in a string", body: `{"objects":[` + a + `,{"id":"x\`, objects: []string{a}, err: errShort},
		{name: "cut behind the list", body: `{"objects":[` + a + `]`, objects: []string{a}, err: errShort},
		{name: "cut in more", body: `{"objects":[],"more":tr`, err: errShort},
		{name: "page", body: "<!DOCTYPE html><html>", err: errHTML},
		{name: "list", body: `[` + a + `]`, err: errNotJSON},
		{name: "text", body: "Service unavailable", err: errNotJSON},
		{name: "UTF-16", body: "\xff\xfe{\x00", err: errUTF16},
		{name: "objects is text", body: `{"objects":"x"}`, err: errNoObject},
		{name: "list closed wrongly", body: `{"objects":[` + a + `}`, objects: []string{a}, err: errNotJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The way in which the bytes come must make no difference.
			for how, r := range map[string]io.Reader{
				"whole": strings.NewReader(tt.body), "bytes": iotest.OneByteReader(strings.NewReader(tt.body)),
				"with EOF": iotest.DataErrReader(strings.NewReader(tt.body)),
			} {
				env, objects, broken, err := readAll(r, 1000)
				if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
					t.Fatalf("%s: error %v, want %v", how, err, tt.err)
				}
				if fmt.Sprint(objects) != fmt.Sprint(tt.objects) {
					t.Errorf("%s: objects %q, want %q", how, objects, tt.objects)
				}
				if len(broken) != tt.broken {
					t.Errorf("%s: broken %q, want %d", how, broken, tt.broken)
				}
				if tt.err == nil && (env.more != tt.more || env.next != tt.next || env.problem != tt.problem) {
					t.Errorf("%s: %+v, want more %v next %q problem %q", how, env, tt.more, tt.next, tt.problem)
				}
			}
		})
	}
}

func TestEnvelopeKeepsReadErrors(t *testing.T) {
	boom := errors.New("boom")
	body := io.MultiReader(strings.NewReader(`{"objects":[{"id":"a"},{"id"`), iotest.ErrReader(boom))
	_, objects, _, err := readAll(body, 1000)
	if !errors.Is(err, boom) || len(objects) != 1 {
		t.Errorf("objects %q, error %v", objects, err)
	}
}

func TestEnvelopeLimit(t *testing.T) {
	long := `{"id":"long","x":"` + strings.Repeat("y", 3*blockSize) + `"}`
	body := `{"objects":[{"id":"a"},` + long + `,{"id":"b"}],"more":true,"next":"n"}`
	env, objects, broken, err := readAll(strings.NewReader(body), 1000)
	if err != nil || fmt.Sprint(objects) != `[{"id":"a"} {"id":"b"}]` || env.next != "n" {
		t.Errorf("objects %q, next %q, error %v", objects, env.next, err)
	}
	if len(broken) != 1 || !strings.Contains(broken[0], "longer than the limit") || !strings.Contains(broken[0], "entry 2") {
		t.Errorf("broken %q", broken)
	}
	// The same object within the limit is taken whole, across blocks.
	_, objects, broken, err = readAll(strings.NewReader(body), len(long))
	if err != nil || len(objects) != 3 || objects[1] != long || len(broken) > 0 {
		t.Errorf("%d objects, broken %q, error %v", len(objects), broken, err)
	}
}

// Objects stay as they are while the reading goes on.
func TestEnvelopeObjectsAreKept(t *testing.T) {
	var body bytes.Buffer
	body.WriteString(`{"objects":[`)
	const n = 5000
	for i := range n {
		fmt.Fprintf(&body, `{"id":"%06d","pad":"%s"},`, i, strings.Repeat("p", i%700))
	}
	body.WriteString(`]}`)
	var kept [][]byte
	_, _, err := readEnvelope(iotest.HalfReader(&body), 1000, func(raw []byte) error { kept = append(kept, raw); return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, raw := range kept {
		if want := fmt.Sprintf(`{"id":"%06d","pad":"%s"}`, i, strings.Repeat("p", i%700)); string(raw) != want {
			t.Fatalf("object %d is %.60s", i, raw)
		}
		if cap(raw) != len(raw) {
			t.Fatalf("appending to object %d would write into the next", i)
		}
	}
	if len(kept) != n {
		t.Fatalf("%d objects", len(kept))
	}
}

// endless is an envelope of many bytes that is never in memory as a whole: small
// objects, and one object of a quarter of it.
type endless struct {
	size, done int64
	part       []byte
	object     []byte
	state      int
}

func (e *endless) Read(p []byte) (int, error) {
	for len(e.part) == 0 {
		switch {
		case e.state == 0:
			e.part, e.state = []byte(`{"objects":[`), 1
		case e.state == 1 && e.done < e.size/2:
			e.part = e.object
		case e.state == 1:
			e.part, e.state = []byte(`{"id":"huge","pad":"`), 2
		case e.state == 2 && e.done < e.size*3/4:
			e.part = bytes.Repeat([]byte("p"), 64<<10)
		case e.state == 2:
			e.part, e.state = []byte(`"},`), 3
		case e.state == 3 && e.done < e.size:
			e.part = e.object
		case e.state == 3:
			e.part, e.state = []byte(`null],"more":false}`), 4
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, e.part)
	e.part = e.part[n:]
	e.done += int64(n)
	return n, nil
}

// One envelope of a gigabyte (less with -short or the race detector), with an object of a quarter of
// it, passes with a small heap.
func TestEnvelopeMemory(t *testing.T) {
	size := int64(1) << 30
	if testing.Short() || raceDetector {
		size = 200 << 20
	}
	const most = 48 << 20
	runtime.GC() // what other tests left
	e := &endless{size: size, object: append(indicator(1, epoch), ',')}
	var objects int
	var peak uint64
	var broken []string
	_, _, err := readEnvelope(e, DefaultMaxObjectBytes, func([]byte) error {
		if objects++; objects%100000 == 0 {
			peak = max(peak, heap())
		}
		return nil
	}, func(why string, _ []byte) error { broken = append(broken, why); peak = max(peak, heap()); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if want := int(size * 3 / 4 / int64(len(e.object))); objects < want*9/10 {
		t.Errorf("%d objects, want about %d", objects, want)
	}
	if len(broken) != 2 || !strings.Contains(broken[0], "longer than the limit") {
		t.Errorf("broken %q", broken)
	}
	if peak > most {
		t.Errorf("the heap grew to %d MiB", peak>>20)
	}
	t.Logf("%d objects, heap %d MiB", objects, peak>>20)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"objects":[]}`, `{"objects":[{"a":"\\\""},null,{"b":[1,{"c":"]}"}]}],"more":true,"next":"x"}`,
		`{"objects":[{"a":1}`, `{"objects":{"a":1}}`, "\xEF\xBB\xBF{}", `{"error":{"code":1,"message":"m"}}`, `{"objects":[{]}]}`, `{"a":{"objects":[1]},"objects":[2]}`, `<html>`, `{"objects":[,,]}`,
	} {
		f.Add([]byte(s), byte(1))
	}
	f.Fuzz(func(t *testing.T, body []byte, cut byte) {
		whole, objects, broken, err := readAll(bytes.NewReader(body), 64)
		// Read in pieces, the result is the same.
		env, objects2, broken2, err2 := readAll(&pieces{body, int(cut)%7 + 1}, 64)
		if (err == nil) != (err2 == nil) || fmt.Sprint(objects) != fmt.Sprint(objects2) || len(broken) != len(broken2) || whole != env {
			t.Fatalf("in pieces: %q %q %v %+v, whole: %q %q %v %+v", objects2, broken2, err2, env, objects, broken, err, whole)
		}
		for _, o := range objects {
			if len(o) > 64 || o[0] != '{' {
				t.Fatalf("an object that is none: %q", o)
			}
		}
	})
}

type pieces struct {
	data []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.data[:min(p.n, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

func BenchmarkEnvelope(b *testing.B) {
	var body bytes.Buffer
	body.WriteString(`{"more":false,"objects":[`)
	for i := range 20000 {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(indicator(i, epoch))
	}
	body.WriteString(`]}`)
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		_, _, err := readEnvelope(bytes.NewReader(body.Bytes()), DefaultMaxObjectBytes, func([]byte) error { n++; return nil }, nil)
		if err != nil || n != 20000 {
			b.Fatal(n, err)
		}
	}
}
