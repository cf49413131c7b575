"""A polite web crawler: a Scrapy spider in a process of its own, and the store of the pages it fetched."""
