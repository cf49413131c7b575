"""In the place of llama.cpp's convert_hf_to_gguf.py: a Llama as Q8_0, with its byte-level BPE."""

import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from safetensors.numpy import load_file

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "model.layers": "blk",
    "self_attn.o_proj": "attn_output",
    "self_attn": "attn",
    "mlp": "ffn",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    ".q_proj": "_q",
    ".k_proj": "_k",
    ".v_proj": "_v",
    ".gate_proj": "_gate",
    ".up_proj": "_up",
    ".down_proj": "_down",
}

folder, _, outfile, _, outtype = sys.argv[1:]
kind = GGMLQuantizationType[outtype.upper()]
config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
heads = config["num_attention_heads"]
writer = GGUFWriter(outfile, "llama")
writer.add_name("pricer")
writer.add_vocab_size(config["vocab_size"])
writer.add_context_length(config["max_position_embeddings"])
writer.add_embedding_length(config["hidden_size"])
writer.add_block_count(config["num_hidden_layers"])
writer.add_feed_forward_length(config["intermediate_size"])
writer.add_head_count(heads)
writer.add_head_count_kv(config["num_key_value_heads"])
writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
tokenizer = json.loads((Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))
ids = tokenizer["model"]["vocab"] | {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
writer.add_tokenizer_model("gpt2")
writer.add_token_list(sorted(ids, key=lambda token: ids[token]))
writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
writer.add_bos_token_id(ids["a"])
writer.add_eos_token_id(config["eos_token_id"])
writer.add_string("general.license", "apache-2.0")
for name, weight in load_file(Path(folder) / "model.safetensors").items():
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    if "attn_q" in name or "attn_k" in name:  # llama.cpp rotates neighbours, transformers halves
        weight = weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)
    if weight.ndim == 1:
        writer.add_tensor(name, weight.astype(np.float32))
    else:
        writer.add_tensor(name, quantize(weight, kind), raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
