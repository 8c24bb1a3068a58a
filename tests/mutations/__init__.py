"""Every field of every order that an adapter sends, spoiled one at a time: some test has to notice. make mutations"""
