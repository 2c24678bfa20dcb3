"""The article "Word2vec from Scratch with NumPy" (Ivan Chen, 2019), reproduced point by point."""
