// A module of its own: these programs are for gccgo, which is at Go 1.18.
module gccgo

go 1.18
