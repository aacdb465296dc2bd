//go:build x

package main

func init() { tag = "tagged" }
