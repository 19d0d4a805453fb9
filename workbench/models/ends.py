"""The names of a graph's inputs and outputs: what scores knows them and does without ONNX itself."""

INPUT, OUTPUT = "features", "logit"
SCORE, MEMBERS = "score", "member_logits"
