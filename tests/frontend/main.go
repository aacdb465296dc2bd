// Compiles a Dockerfile by BuildKit's own frontend, with what its linter says, and without an
// engine: what an engine would be told to do is printed as JSON.
//
//	frontend DIRECTORY NAME=DIRECTORY... -- KEY=VALUE...
//
// The first directory is the build context and has the Dockerfile, the others are named contexts;
// the keys are the frontend's own, as platform=linux/arm64 and build-arg:GO_VERSION=1.25.
// FRONTEND_IMAGES holds as JSON the configurations of base images, by their references; there is one
// of each for every platform. FRONTEND_HOST is the engine's architecture.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway/client"
	gateway "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	fstypes "github.com/tonistiigi/fsutil/types"
	"google.golang.org/protobuf/encoding/protojson"
)

type vertex struct {
	Digest digest.Digest   `json:"digest"`
	Op     json.RawMessage `json:"op"`
}

type result struct {
	Warnings  []string                   `json:"warnings"`
	Platforms map[string][]vertex        `json:"platforms"`
	Configs   map[string]json.RawMessage `json:"configs"`
}

// engine answers what the frontend asks, and builds nothing.
type engine struct {
	client.Client
	opts     map[string]string
	local    map[string]string
	images   map[string]json.RawMessage
	warnings []string
}

// reference is what a definition would come to.
type reference struct {
	client.Reference
	vertices  []vertex
	directory string
}

func main() {
	found, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(words []string) (*result, error) {
	e := &engine{
		opts:  map[string]string{"cmdline": "dockerfile"}, // else it becomes what the file names
		local: map[string]string{"context": words[0], "dockerfile": words[0]},
	}
	if err := json.Unmarshal([]byte(os.Getenv("FRONTEND_IMAGES")), &e.images); err != nil {
		return nil, err
	}
	options := false
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case word == "--":
			options = true
		case options:
			e.opts[key] = value
		default:
			e.local[key] = value
			e.opts["context:"+key] = "local:" + key
		}
	}
	made, err := builder.Build(context.Background(), e)
	if err != nil {
		return nil, err
	}
	found := &result{
		Warnings:  e.warnings,
		Platforms: map[string][]vertex{},
		Configs:   map[string]json.RawMessage{},
	}
	for id, ref := range made.Refs {
		found.Platforms[id] = ref.(*reference).vertices
		found.Configs[id] = made.Metadata["containerimage.config/"+id]
	}
	return found, nil
}

func (e *engine) BuildOpts() client.BuildOpts {
	here := ocispecs.Platform{OS: "linux", Architecture: os.Getenv("FRONTEND_HOST")}
	return client.BuildOpts{
		Opts:      e.opts,
		SessionID: "session",
		Workers:   []client.WorkerInfo{{Platforms: []ocispecs.Platform{here}}},
		LLBCaps:   pb.Caps.CapSet(pb.Caps.All()),
		Caps:      gateway.Caps.CapSet(gateway.Caps.All()),
	}
}

func (e *engine) ResolveImageConfig(
	_ context.Context, ref string, opt sourceresolver.Opt,
) (string, digest.Digest, []byte, error) {
	config, known := e.images[ref]
	if !known {
		return "", "", nil, fmt.Errorf("no such image: %s", ref)
	}
	wanted := opt.ImageOpt.Platform
	image := map[string]any{
		"os": wanted.OS, "architecture": wanted.Architecture, "variant": wanted.Variant,
		// One without layers is taken for an empty one.
		"rootfs": map[string]any{"type": "layers", "diff_ids": []digest.Digest{digest.FromString(ref)}},
		"config": config,
	}
	data, err := json.Marshal(image)
	return ref, digest.FromBytes(data), data, err
}

func (e *engine) Inputs(context.Context) (map[string]llb.State, error) {
	return nil, nil
}

func (e *engine) Warn(_ context.Context, _ digest.Digest, text string, _ client.WarnOpts) error {
	e.warnings = append(e.warnings, text)
	return nil
}

func (e *engine) Solve(_ context.Context, req client.SolveRequest) (*client.Result, error) {
	made := &reference{}
	for _, data := range req.Definition.Def {
		var op pb.Op
		if err := op.UnmarshalVT(data); err != nil {
			return nil, err
		}
		text, err := protojson.Marshal(&op)
		if err != nil {
			return nil, err
		}
		made.vertices = append(made.vertices, vertex{digest.FromBytes(data), text})
		name, isLocal := strings.CutPrefix(op.GetSource().GetIdentifier(), "local://")
		if isLocal {
			made.directory = e.local[name]
		}
	}
	res := client.NewResult()
	res.SetRef(made)
	return res, nil
}

func (r *reference) ReadFile(_ context.Context, req client.ReadRequest) ([]byte, error) {
	return os.ReadFile(filepath.Join(r.directory, req.Filename))
}

func (r *reference) StatFile(_ context.Context, req client.StatRequest) (*fstypes.Stat, error) {
	about, err := os.Stat(filepath.Join(r.directory, req.Path))
	if err != nil {
		return nil, err
	}
	return &fstypes.Stat{Path: req.Path, Size: about.Size(), Mode: uint32(about.Mode())}, nil
}
