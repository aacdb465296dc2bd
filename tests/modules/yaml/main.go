// Tree-sitter, in C, with the scanner of YAML's grammar, in C++.
package main

import (
	"context"
	"fmt"

	sitter "github.com/smacker/go-tree-sitter"
	"github.com/smacker/go-tree-sitter/yaml"
)

func main() {
	root, err := sitter.ParseCtx(context.Background(), []byte("a:\n  - 1\n  - two\n"), yaml.GetLanguage())
	if err != nil {
		panic(err)
	}
	fmt.Println(root.HasError(), root)
}
