"""Acquire one stream's bars, for the job and the trader: fetch, judge, fetch more."""
