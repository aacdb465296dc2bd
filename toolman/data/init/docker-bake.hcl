# Made by: toolman init docker. It is yours to change.
#
#   export TOOLMAN=../toolman      a checkout of toolman, or the URL of a git repository of it
#   docker buildx bake --allow=fs.read=$TOOLMAN               does it build?
#   docker buildx bake --allow=fs.read=$TOOLMAN binaries      the programs, into dist/
#   TAG=registry.example.org/team/@NAME@:1 docker buildx bake --allow=fs.read=$TOOLMAN --push
#
# A directory outside of this one has to be allowed, a URL has not. Caches are yours to choose:
# --set '*.cache-to=type=…' --set '*.cache-from=type=…'. Over the same base images the same source
# gives the same image, to the byte, where the files' times are one, too:
#   SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) docker buildx bake --allow=fs.read=$TOOLMAN \
#     --set image.output=type=oci,dest=image.tar,rewrite-timestamp=true

variable "TOOLMAN" {
  default     = ""
  description = "A checkout of toolman, or the URL of a git repository of it"
  validation {
    condition     = TOOLMAN != ""
    error_message = "Say where toolman is: TOOLMAN=DIRECTORY, or the URL of a git repository."
  }
}

variable "GO_VERSION" {
  default     = "@GO@"
  description = "Which golang image builds"
}

variable "TAG" {
  default     = ""
  description = "The image's name and tag"
}

group "default" {
  targets = ["image"]
}

target "_program" {
  context   = "."
  contexts  = { toolman = TOOLMAN }
  args      = { GO_VERSION = GO_VERSION }
  platforms = @PLATFORMS@
}

target "image" {
  inherits = ["_program"]
  target   = "image"
  tags     = TAG == "" ? [] : [TAG]
}

target "binaries" {
  inherits = ["_program"]
  target   = "binaries"
  output   = ["type=local,dest=dist"]
}
