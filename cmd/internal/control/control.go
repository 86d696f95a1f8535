// Package control lets the program's other commands talk to a running
// forwarder: reload, replay, dead letters, status.
//
// The running forwarder listens on a loopback port of the system's choice and
// writes its address and a random token to the file control.json in the state
// directory, readable by its own account only. Whoever can read the state can
// steer the forwarder; nobody else can. Every request needs the token, so that
// neither another account nor a web page in an admin's browser gets in.
package control

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/status"
)

// Handler is what a running forwarder can be asked.
type Handler interface {
	Status(ctx context.Context) status.Status
	// Alive reports whether the forwarder's own loops make progress.
	Alive() bool
	Reload(ctx context.Context) error
	Replay(ctx context.Context, sink, feed string, since time.Time) (int, error)
	RetryDead(ctx context.Context, filter replica.DeadFilter) (int, error)
	DropDead(ctx context.Context, filter replica.DeadFilter) (int, error)
}

const fileName = "control.json"

// endpoint is the content of control.json.
type endpoint struct {
	Address string `json:"address"`
	Token   string `json:"token"`
	PID     int    `json:"pid"`
}

// Server serves the commands of one running forwarder.
type Server struct {
	path string
	http *http.Server
	done chan struct{}
}

// Serve starts serving h for the forwarder whose state is in dir.
func Serve(dir string, h Handler) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for commands: %w", err)
	}
	e := endpoint{Address: l.Addr().String(), Token: rand.Text(), PID: os.Getpid()}
	s := &Server{path: filepath.Join(dir, fileName), done: make(chan struct{})}
	if err := writePrivate(s.path, e); err != nil {
		l.Close()
		return nil, err
	}
	s.http = &http.Server{
		Handler:           proven(e.Token, authorized(e.Token, routes(h))),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       30 * time.Second,
	}
	go func() {
		defer close(s.done)
		s.http.Serve(l)
	}()
	return s, nil
}

// Close stops serving and removes control.json.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	if rerr := os.Remove(s.path); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// writePrivate replaces path by e as JSON; at no time can others read it.
func writePrivate(path string, e endpoint) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), fileName+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = replaceFile(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func authorized(token string, next http.Handler) http.Handler {
	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			http.Error(w, "not authorised", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// replayRequest is the body of POST /replay.
type replayRequest struct {
	Sink  string    `json:"sink"`
	Feed  string    `json:"feed,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// alive is the answer to GET /alive.
type alive struct {
	Alive bool `json:"alive"`
}

// answer is the body of every answer to a POST.
type answer struct {
	Count   int    `json:"count"`
	Error   string `json:"error,omitempty"`
	Details string `json:"details,omitempty"`
}

// detailed is an error that has more to say than fits into one line.
type detailed interface{ Details() string }

func routes(h Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, h.Status(r.Context()))
	})
	mux.HandleFunc("GET /alive", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, alive{h.Alive()})
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		// Whoever asked may hang up: a reload that has begun is finished.
		finish(w, 0, h.Reload(context.WithoutCancel(r.Context())))
	})
	mux.HandleFunc("POST /replay", func(w http.ResponseWriter, r *http.Request) {
		var q replayRequest
		if !read(w, r, &q) {
			return
		}
		n, err := h.Replay(r.Context(), q.Sink, q.Feed, q.Since)
		finish(w, n, err)
	})
	mux.HandleFunc("POST /dead-letters/retry", func(w http.ResponseWriter, r *http.Request) {
		var q replica.DeadFilter
		if !read(w, r, &q) {
			return
		}
		n, err := h.RetryDead(r.Context(), q)
		finish(w, n, err)
	})
	mux.HandleFunc("POST /dead-letters/drop", func(w http.ResponseWriter, r *http.Request) {
		var q replica.DeadFilter
		if !read(w, r, &q) {
			return
		}
		n, err := h.DropDead(r.Context(), q)
		finish(w, n, err)
	})
	return mux
}

func read(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		reply(w, http.StatusBadRequest, answer{Error: "malformed request: " + err.Error()})
		return false
	}
	return true
}

func finish(w http.ResponseWriter, n int, err error) {
	if err != nil {
		a := answer{Count: n, Error: err.Error()}
		var d detailed
		if errors.As(err, &d) {
			a.Details = d.Details()
		}
		reply(w, http.StatusConflict, a)
		return
	}
	reply(w, http.StatusOK, answer{Count: n})
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}
